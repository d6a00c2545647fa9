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
  notify_urls_version = 3
  connections = {
    gmail-alice = { scopes = ["openid", "email"], owner = "alice@example.com" }
    adc         = { client = "" }
    acme        = { provider = "xero", client = "xero-client" }
  }
  clients = ["spare-client"]
}

run "no_payload_in_state" {
  assert {
    condition     = alltrue([for version in google_secret_manager_secret_version.signing_key : version.secret_data == null && version.secret_data_wo == null])
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
    condition = { for key, function in google_cloud_run_v2_service.function : key => { for env in function.template[0].containers[0].env : env.name => env.value_source[0].secret_key_ref[0].version if length(env.value_source) > 0 } } == {
      refresh_http = { CONSENT_SIGNING_KEY = "1" }, consent = { CONSENT_SIGNING_KEY = "1" }, status = { CONSENT_SIGNING_KEY = "1" }, notify = { NOTIFY_URLS = "3" },
    }
    error_message = "A function sees a secret it has no use for, lacks one, or sees another version."
  }
  assert {
    condition = alltrue([for function in google_cloud_run_v2_service.function : alltrue([
      for env in function.template[0].containers[0].env : !contains(["CONSENT_SIGNING_KEY", "NOTIFY_URLS"], env.name) || env.value == null || startswith(coalesce(env.value, " "), "none: ")
    ])])
    error_message = "A secret stands in the plain environment."
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
    condition     = length(google_secret_manager_regional_secret.secret) == 0 && google_secret_manager_secret_iam_policy.policy[0].policy_data == "{\"bindings\":[]}"
    error_message = "A global secret, and nobody on it: not even who was added by hand."
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
    condition     = [for binding in jsondecode(google_secret_manager_regional_secret_iam_policy.policy[0].policy_data).bindings : binding.role] == ["roles/secretmanager.secretAccessor"]
    error_message = "A role without members is in the policy."
  }
}

run "one_connection_unprotected" {
  module {
    source = "./modules/connection"
  }
  variables {
    deployment = {
      project_id = "example-project"
      refreshers = ["serviceAccount:token-refresh-http@example-project.iam.gserviceaccount.com"]
      roles      = { for key in ["annotator", "dater", "describer", "inspector", "versioner"] : key => "projects/example-project/roles/${key}" }
    }
    name                = "gmail-alice"
    deletion_protection = false
  }

  assert {
    condition     = output.deletion_protection == false
    error_message = "A connection's own word does not outrank the deployment's."
  }
}

run "regional_everywhere_and_no_notifications_yet" {
  variables {
    notify_urls_version = 0
    secret_location     = "europe-west1"
  }

  assert {
    condition     = module.notify_urls.secret_id == "token-refresh-notify-urls" && !contains(keys(google_cloud_run_v2_service.function), "notify")
    error_message = "There is nowhere to put the first notification URLs, or a function without any."
  }

  assert {
    condition     = one([for env in google_cloud_run_v2_service.function["refresh_http"].template[0].containers[0].env : env.value if env.name == "SECRET_MANAGER_LOCATION"]) == "europe-west1"
    error_message = "The functions look in the wrong place."
  }
  assert {
    condition     = google_pubsub_topic.topic["refresh"].message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"])
    error_message = "Messages may rest elsewhere."
  }
}
