// Client credentials in C#, done right: the client acts for itself. Google has no such grant for people's data (it answers
// unsupported_grant_type or invalid_grant): use a service account there. Microsoft, Zoom, Salesforce and others have it.
//
//   TOKEN_URL=https://login.microsoftonline.com/TENANT/oauth2/v2.0/token CLIENT_ID=... CLIENT_SECRET=... \
//   SCOPE=https://graph.microsoft.com/.default dotnet run
//
// There is no refresh token: when the access token ends, or a call says 401, ask again.
using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Text.Json;
using System.Threading.Tasks;

public static class ClientCredentials
{
    public static int Main()
    {
        return Ask().GetAwaiter().GetResult();
    }

    private static async Task<int> Ask()
    {
        var form = new Dictionary<string, string>
        {
            { "grant_type", "client_credentials" },
            { "client_id", Environment.GetEnvironmentVariable("CLIENT_ID") },
            { "client_secret", Environment.GetEnvironmentVariable("CLIENT_SECRET") },
            { "scope", Environment.GetEnvironmentVariable("SCOPE") },
        };
        using (var http = new HttpClient())
        using (var reply = await http.PostAsync(Environment.GetEnvironmentVariable("TOKEN_URL"), new FormUrlEncodedContent(form)))
        using (var body = JsonDocument.Parse(await reply.Content.ReadAsStringAsync()))
        {
            if (!reply.IsSuccessStatusCode)
            {
                // invalid_client: id or secret; unauthorized_client: the client may not do this; invalid_scope: not granted.
                Console.Error.WriteLine(body.RootElement.GetProperty("error").GetString());
                return 1;
            }
            Console.WriteLine("expires in " + body.RootElement.GetProperty("expires_in").GetInt64() + " s");
            return 0;
        }
    }
}
