// Credentials for Google's Java libraries that read a connection's token from Secret Manager.
//
//   Gmail gmail = new Gmail.Builder(transport, json, new HttpCredentialsAdapter(
//       ConnectionCredentials.of("my-project", "gmail-alice"))).setApplicationName("job").build();
//
// The library asks the handler 3:45 min before the end and after a 401. If the token is the same then, this fails: ask
// for a refresh through the topic as examples/python/requests_job.py does, or let the job run again.
// Artifacts: com.google.auth:google-auth-library-oauth2-http, com.google.cloud:google-cloud-secretmanager, gson.
import com.google.auth.oauth2.AccessToken;
import com.google.auth.oauth2.OAuth2CredentialsWithRefresh;
import com.google.cloud.secretmanager.v1.SecretManagerServiceClient;
import com.google.cloud.secretmanager.v1.SecretVersionName;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.util.Date;

public final class ConnectionCredentials implements OAuth2CredentialsWithRefresh.OAuth2RefreshHandler {
  private static final long MARGIN_MILLIS = 225_000;

  private final String connection;
  private final SecretVersionName secret;
  private String last;

  private ConnectionCredentials(String project, String connection) {
    this.connection = connection;
    this.secret = SecretVersionName.of(project, connection + "-access-token", "latest");
  }

  public static OAuth2CredentialsWithRefresh of(String project, String connection) {
    return OAuth2CredentialsWithRefresh.newBuilder()
        .setRefreshHandler(new ConnectionCredentials(project, connection))
        .build();
  }

  @Override
  public AccessToken refreshAccessToken() throws IOException {
    JsonObject document;
    try (SecretManagerServiceClient client = SecretManagerServiceClient.create()) {
      String payload = client.accessSecretVersion(secret).getPayload().getData().toStringUtf8();
      document = JsonParser.parseString(payload).getAsJsonObject();
    }
    String token = document.get("access_token").getAsString();
    Date end = new Date(document.get("expiry_date").getAsLong());
    if (token.equals(last) && end.getTime() - System.currentTimeMillis() > MARGIN_MILLIS) {
      throw new IOException(
          "The access token of " + connection + " is refused and there is no newer one. Its newest event on the topic"
              + " token-refresh-events says why and what to do; so does the status page.");
    }
    last = token;
    return new AccessToken(token, end);
  }
}
