// A service account in C#, done right: for what belongs to your own Workspace domain or to Google Cloud there is no
// refresh token, no consent and no invalid_grant of an owner.
//
//   dotnet run service-account.json alice@example.com
//
// Package Google.Apis.Gmail.v1. `invalid_grant` here is about the assertion: the clock is wrong (iat, exp), the key is
// deleted ("Invalid JWT Signature"), the account is gone, or the user is no user of the domain ("Invalid email or User
// ID"). `unauthorized_client`: domain-wide delegation lacks the client id or one of the scopes, to the letter.
using System;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Gmail.v1;
using Google.Apis.Services;

public static class ServiceAccount
{
    public static void Main(string[] args)
    {
        GoogleCredential credential = CredentialFactory.FromFile<ServiceAccountCredential>(args[0])
            .ToGoogleCredential()
            .CreateScoped(GmailService.Scope.GmailReadonly) // exactly what the administrator has allowed
            .CreateWithUser(args[1]); // domain-wide delegation; leave it out for Google Cloud's own APIs
        var gmail = new GmailService(new BaseClientService.Initializer { HttpClientInitializer = credential });
        Console.WriteLine(gmail.Users.GetProfile("me").Execute().MessagesTotal);
    }
}
