// A credential for Google's .NET libraries that reads a connection's token from Secret Manager.
//
//   var gmail = new GmailService(new BaseClientService.Initializer {
//       HttpClientInitializer = new ConnectionCredential("my-project", "gmail-alice") });
//
// ServiceCredential gives caching, one request at a time, renewal six minutes before the end, and one more try after a
// 401 (it calls RequestAccessTokenAsync again). If the token is the same then, this fails: ask for a refresh through the
// topic as examples/python/requests_job.py does, or let the job run again.
// Packages: Google.Apis.Auth, Google.Cloud.SecretManager.V1.
using System;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Auth.OAuth2.Responses;
using Google.Cloud.SecretManager.V1;

public sealed class ConnectionCredential : ServiceCredential
{
    private readonly string _connection;
    private readonly SecretVersionName _secret;
    private string _last;

    // The URL is required and not used: no token endpoint is asked.
    public ConnectionCredential(string project, string connection)
        : base(new Initializer("https://oauth2.googleapis.com/token"))
    {
        _connection = connection;
        _secret = new SecretVersionName(project, connection + "-access-token", "latest");
    }

    public override async Task<bool> RequestAccessTokenAsync(CancellationToken cancellation)
    {
        var client = await SecretManagerServiceClient.CreateAsync(cancellation).ConfigureAwait(false);
        var version = await client.AccessSecretVersionAsync(_secret, cancellation).ConfigureAwait(false);
        string token;
        DateTimeOffset end;
        using (var document = JsonDocument.Parse(version.Payload.Data.ToStringUtf8()))
        {
            token = document.RootElement.GetProperty("access_token").GetString();
            end = DateTimeOffset.FromUnixTimeSeconds(document.RootElement.GetProperty("expires_at").GetInt64());
        }
        if (token == _last && end - DateTimeOffset.UtcNow > TimeSpan.FromMinutes(6))
        {
            throw new InvalidOperationException(
                $"The access token of {_connection} is refused and there is no newer one. Its newest event on the " +
                "topic token-refresh-events says why and what to do; so does the status page.");
        }
        _last = token;
        Token = new TokenResponse
        {
            AccessToken = token,
            TokenType = "Bearer",
            IssuedUtc = DateTime.UtcNow,
            ExpiresInSeconds = (long)(end - DateTimeOffset.UtcNow).TotalSeconds,
        };
        return true;
    }
}
