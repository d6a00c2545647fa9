// Plays the library: asks the credential once for each document.
using System;
using System.Threading;
using Google.Cloud.SecretManager.V1;

public static class Program
{
    public static void Main(string[] documents)
    {
        var credential = new ConnectionCredential("my-project", "gmail-alice");
        foreach (var document in documents)
        {
            SecretManagerServiceClient.Secrets["projects/my-project/secrets/gmail-alice-access-token/versions/latest"] = document;
            try
            {
                var done = credential.RequestAccessTokenAsync(CancellationToken.None).Result;
                Console.WriteLine(credential.Token.AccessToken + " " + (credential.Token.ExpiresInSeconds > 3000));
            }
            catch (AggregateException fault)
            {
                Console.WriteLine(fault.InnerException.Message);
            }
        }
    }
}
