# Containers, never payloads; what is irreplaceable is protected; what is short-lived is cheap.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id          = "example-project"
  notify_urls         = ["json://example.com"]
  notify_urls_version = 1
  connections = {
    gmail-alice = { scopes = ["openid", "email"], owner = "alice@example.com" }
    adc         = { client = "" }
    acme        = { provider = "xero", client = "xero-client" }
  }
  clients = ["spare-client"]
}

run "no_payload_in_state" {
  assert {
    condition     = alltrue([for version in concat(google_secret_manager_secret_version.signing_key, google_secret_manager_secret_version.notify_urls) : version.secret_data == null && version.secret_data_wo == null])
    error_message = "A payload is in the state."
  }
  assert {
    condition     = output.clients == tolist(["oauth-client-google", "spare-client", "xero-client"])
    error_message = "One container for each client registration that is named, and none for a payload that brings its own."
  }
  assert {
    condition     = output.connections["gmail-alice"] == { connection_secret = "gmail-alice-refresh-token", access_token_secret = "gmail-alice-access-token" }
    error_message = "A connection has two secrets with the names the functions expect."
  }
  # What the functions are given as a secret is not in their plain environment.
  assert {
    condition = alltrue([for function in google_cloudfunctions2_function.function : alltrue([
      for name in ["CONSENT_SIGNING_KEY", "NOTIFY_URLS"] : !contains(keys(function.service_config[0].environment_variables), name)
    ])])
    error_message = "A secret stands in the plain environment."
  }
  assert {
    condition = { for key, function in google_cloudfunctions2_function.function : key => toset(function.service_config[0].secret_environment_variables[*].key) } == {
      refresh = toset(["CONSENT_SIGNING_KEY"]), refresh_http = toset(["CONSENT_SIGNING_KEY"]), consent = toset(["CONSENT_SIGNING_KEY"]),
      status  = toset(["CONSENT_SIGNING_KEY"]), notify = toset(["NOTIFY_URLS"]),
    }
    error_message = "A function sees a secret it has no use for, or lacks one."
  }
}

run "a_secret_is_a_container" {
  module {
    source = "./modules/secret"
  }
  variables {
    secret_id           = "gmail-alice-refresh-token"
    topic               = "projects/example-project/topics/token-refresh"
    version_destroy_ttl = "86400s"
    deletion_protection = true
    annotations         = { "token-refresh.owner" = "alice@example.com" }
  }

  assert {
    condition     = google_secret_manager_secret.secret[0].topics[0].name == "projects/example-project/topics/token-refresh" && google_secret_manager_secret.secret[0].deletion_protection
    error_message = "A new version is announced and the secret protected."
  }
  assert {
    condition     = length(google_secret_manager_regional_secret.secret) == 0 && length(google_secret_manager_secret_iam_binding.binding) == 0
    error_message = "A global secret, and nobody on it."
  }
}

run "a_regional_secret" {
  module {
    source = "./modules/secret"
  }
  variables {
    secret_id = "gmail-alice-refresh-token"
    location  = "europe-west1"
    kms_key   = "projects/example-project/locations/europe-west1/keyRings/ring/cryptoKeys/secrets"
    iam = {
      "roles/secretmanager.secretAccessor" = ["serviceAccount:token-refresh@example-project.iam.gserviceaccount.com"]
      "roles/secretmanager.viewer"         = []
    }
  }

  assert {
    condition     = length(google_secret_manager_secret.secret) == 0 && google_secret_manager_regional_secret.secret[0].customer_managed_encryption[0].kms_key_name != ""
    error_message = "A regional secret with its own key."
  }
  assert {
    condition     = keys(google_secret_manager_regional_secret_iam_binding.binding) == ["roles/secretmanager.secretAccessor"]
    error_message = "A role without members is not bound."
  }
}

run "regional_everywhere" {
  variables {
    secret_location = "europe-west1"
  }

  assert {
    condition     = google_cloudfunctions2_function.function["refresh"].service_config[0].environment_variables["SECRET_MANAGER_LOCATION"] == "europe-west1"
    error_message = "The functions look in the wrong place."
  }
  assert {
    condition     = google_pubsub_topic.refresh.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    error_message = "Messages may rest elsewhere."
  }
}
