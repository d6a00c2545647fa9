// What ConnectionCredentials.java uses of Google's libraries, in the form that their documentation gives; beside it a
// program that plays the library. One file a package is cut out of this one by the test, at the lines `//// path`.
//// com/google/auth/oauth2/AccessToken.java
package com.google.auth.oauth2;

public class AccessToken {
  private final String value;
  private final java.util.Date end;

  public AccessToken(String tokenValue, java.util.Date expirationTime) {
    value = tokenValue;
    end = expirationTime;
  }

  public String getTokenValue() {
    return value;
  }

  public java.util.Date getExpirationTime() {
    return end;
  }
}
//// com/google/auth/oauth2/OAuth2CredentialsWithRefresh.java
package com.google.auth.oauth2;

public class OAuth2CredentialsWithRefresh {
  public interface OAuth2RefreshHandler {
    AccessToken refreshAccessToken() throws java.io.IOException;
  }

  private final OAuth2RefreshHandler handler;

  private OAuth2CredentialsWithRefresh(OAuth2RefreshHandler handler) {
    this.handler = handler;
  }

  public AccessToken refreshAccessToken() throws java.io.IOException {
    return handler.refreshAccessToken();
  }

  public static Builder newBuilder() {
    return new Builder();
  }

  public static class Builder {
    private OAuth2RefreshHandler handler;

    public Builder setRefreshHandler(OAuth2RefreshHandler handler) {
      this.handler = handler;
      return this;
    }

    public OAuth2CredentialsWithRefresh build() {
      return new OAuth2CredentialsWithRefresh(handler);
    }
  }
}
//// com/google/cloud/secretmanager/v1/SecretVersionName.java
package com.google.cloud.secretmanager.v1;

public class SecretVersionName {
  final String name;

  private SecretVersionName(String name) {
    this.name = name;
  }

  public static SecretVersionName of(String project, String secret, String version) {
    return new SecretVersionName("projects/" + project + "/secrets/" + secret + "/versions/" + version);
  }
}
//// com/google/cloud/secretmanager/v1/SecretManagerServiceClient.java
package com.google.cloud.secretmanager.v1;

public class SecretManagerServiceClient implements AutoCloseable {
  public static SecretManagerServiceClient create() throws java.io.IOException {
    return new SecretManagerServiceClient();
  }

  public Response accessSecretVersion(SecretVersionName name) {
    return new Response(System.getProperty(name.name));
  }

  @Override
  public void close() {}

  public static class Response {
    private final String text;

    Response(String text) {
      this.text = text;
    }

    public Response getPayload() {
      return this;
    }

    public Response getData() {
      return this;
    }

    public String toStringUtf8() {
      return text;
    }
  }
}
//// com/google/gson/JsonParser.java
package com.google.gson;

public class JsonParser {
  public static JsonObject parseString(String json) {
    return new JsonObject(json);
  }
}
//// com/google/gson/JsonObject.java
package com.google.gson;

public class JsonObject {
  private final String json;

  JsonObject(String json) {
    this.json = json;
  }

  public JsonObject getAsJsonObject() {
    return this;
  }

  public JsonObject get(String key) {
    java.util.regex.Matcher found =
        java.util.regex.Pattern.compile("\"" + key + "\": \"?([^\",}]+)").matcher(json);
    return found.find() ? new JsonObject(found.group(1)) : null;
  }

  public String getAsString() {
    return json;
  }

  public long getAsLong() {
    return Long.parseLong(json);
  }
}
//// Program.java
public class Program {
  public static void main(String[] arguments) throws Exception {
    String secret = "projects/my-project/secrets/gmail-alice-access-token/versions/latest";
    com.google.auth.oauth2.OAuth2CredentialsWithRefresh credentials =
        ConnectionCredentials.of("my-project", "gmail-alice");
    for (String document : arguments) {
      System.setProperty(secret, document);
      try {
        com.google.auth.oauth2.AccessToken token = credentials.refreshAccessToken();
        System.out.println(token.getTokenValue() + " " + token.getExpirationTime().getTime());
      } catch (java.io.IOException fault) {
        System.out.println(fault.getMessage());
      }
    }
  }
}
