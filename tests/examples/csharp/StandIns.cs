// What the C# examples use of Google's libraries and of System.Text.Json, in the form that their documentation gives, and
// a program that plays the library. Mono has the rest.
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using System.Xml.Linq;

namespace System.Text.Json
{
    public sealed class JsonDocument : IDisposable
    {
        public JsonElement RootElement { get; private set; }

        public static JsonDocument Parse(string json)
        {
            var reader = JsonReaderWriterFactory.CreateJsonReader(Encoding.UTF8.GetBytes(json), new System.Xml.XmlDictionaryReaderQuotas());
            return new JsonDocument { RootElement = new JsonElement(XElement.Load(reader)) };
        }

        public void Dispose() { }
    }

    public struct JsonElement
    {
        private readonly XElement _element;

        public JsonElement(XElement element) { _element = element; }

        public JsonElement GetProperty(string name) { return new JsonElement(_element.Element(name)); }

        public string GetString() { return _element.Value; }

        public long GetInt64() { return long.Parse(_element.Value); }
    }
}

namespace Google.Apis.Auth.OAuth2.Responses
{
    public class TokenResponse
    {
        public string AccessToken { get; set; }
        public string TokenType { get; set; }
        public long? ExpiresInSeconds { get; set; }
        public DateTime IssuedUtc { get; set; }
    }
}

namespace Google.Apis.Auth.OAuth2
{
    public abstract class ServiceCredential
    {
        public class Initializer
        {
            public Initializer(string tokenServerUrl) { }
        }

        public Responses.TokenResponse Token { get; set; }

        protected ServiceCredential(Initializer initializer) { }

        public abstract Task<bool> RequestAccessTokenAsync(CancellationToken taskCancellationToken);
    }

    public class ServiceAccountCredential
    {
        public GoogleCredential ToGoogleCredential() { return new GoogleCredential(); }
    }

    public class GoogleCredential
    {
        public GoogleCredential CreateScoped(params string[] scopes) { return this; }

        public GoogleCredential CreateWithUser(string user) { return this; }
    }

    public static class CredentialFactory
    {
        public static T FromFile<T>(string path) where T : new() { return new T(); }
    }
}

namespace Google.Apis.Services
{
    public static class BaseClientService
    {
        public class Initializer
        {
            public object HttpClientInitializer { get; set; }
        }
    }
}

namespace Google.Apis.Gmail.v1
{
    public class GmailService
    {
        public static class Scope { public const string GmailReadonly = "https://www.googleapis.com/auth/gmail.readonly"; }

        public GmailService(Google.Apis.Services.BaseClientService.Initializer initializer) { }

        public GmailService Users { get { return this; } }
        public int? MessagesTotal { get { return 3; } }

        public GmailService GetProfile(string user) { return this; }

        public GmailService Execute() { return this; }
    }
}

namespace Google.Cloud.SecretManager.V1
{
    public class SecretVersionName
    {
        public string Name;

        public SecretVersionName(string project, string secret, string version)
        {
            Name = "projects/" + project + "/secrets/" + secret + "/versions/" + version;
        }
    }

    public class SecretManagerServiceClient
    {
        public static readonly Dictionary<string, string> Secrets = new Dictionary<string, string>();

        public static Task<SecretManagerServiceClient> CreateAsync(CancellationToken cancellation)
        {
            return Task.FromResult(new SecretManagerServiceClient());
        }

        public Task<Answer> AccessSecretVersionAsync(SecretVersionName name, CancellationToken cancellation)
        {
            return Task.FromResult(new Answer { Text = Secrets[name.Name] });
        }
    }

    public class Answer
    {
        public string Text;
        public Answer Payload { get { return this; } }
        public Answer Data { get { return this; } }

        public string ToStringUtf8() { return Text; }
    }
}
