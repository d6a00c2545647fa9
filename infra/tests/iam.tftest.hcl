# Nobody gets more than the table in docs/security.md says, whatever is switched on.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_storage_project_service_account" {
    defaults = { member = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id = "example-project"
  connections = {
    gmail-alice = {
      owner     = "alice@example.com"
      consumers = ["serviceAccount:consumers@example-project.iam.gserviceaccount.com"]
    }
    xero-acme = { provider = "xero" }
  }
}

run "one_connection" {
  assert {
    condition = alltrue([for grant in output.iam : anytrue([for line in split("\n", file("../docs/security.md")) : startswith(line, format(
      "| `%s` | `%s` | %s |",
      replace(replace(replace(replace(grant.member, "group:operators@example.com", "operators"), "serviceAccount:", ""), "@example-project.iam.gserviceaccount.com", ""), "/^service-[0-9]+@(.*)[.]iam[.]gserviceaccount[.]com$/", "$1"),
      replace(grant.role, "projects/example-project/roles/", ""), grant.on
    ))])])
    error_message = "A principal has a role that docs/security.md does not list."
  }
  assert {
    condition     = length([for grant in output.iam : grant if startswith(grant.member, "all")]) == 0
    error_message = "The public is bound somewhere: domain restricted sharing refuses that."
  }
  assert {
    condition     = toset([for key, function in google_cloud_run_v2_service.function : key if function.invoker_iam_disabled]) == toset(["consent"])
    error_message = "The public may do more than open the consent page."
  }
  assert {
    condition = toset([for grant in output.iam : split("@", grant.member)[0] if grant.on == "connection secrets" && grant.role == "roles/secretmanager.secretAccessor"]) == toset([
      "serviceAccount:token-refresh-http", "serviceAccount:token-refresh-consent",
    ])
    error_message = "Only the functions that exchange grants may read them."
  }
  assert {
    condition     = alltrue([for key, role in google_project_iam_custom_role.role : key == "operator" || alltrue([for permission in role.permissions : startswith(permission, "secretmanager.")])])
    error_message = "A function's custom role reaches beyond Secret Manager."
  }
  assert {
    condition     = length(setintersection(google_project_iam_custom_role.role["operator"].permissions, ["secretmanager.versions.access", "secretmanager.versions.add", "secretmanager.secrets.update", "secretmanager.secrets.setIamPolicy"])) == 0
    error_message = "Operators may open or change every secret of the project."
  }
  assert {
    condition     = google_project_iam_custom_role.role["annotator"].permissions == toset(["secretmanager.secrets.update"])
    error_message = "The annotator may do more than annotate."
  }
  assert {
    condition     = length(distinct([for function in google_cloud_run_v2_service.function : function.template[0].service_account])) == length(google_cloud_run_v2_service.function)
    error_message = "Two functions share a service account."
  }
  assert {
    condition     = jsondecode(google_cloud_run_v2_service_iam_policy.invoker["status"].policy_data).bindings == []
    error_message = "The status page is open to somebody without operators."
  }
}

run "everything_switched_on" {
  variables {
    operators           = ["group:operators@example.com"]
    notify_urls_version = 1
    access_token_topic  = true
    token               = {}
    risc                = { audiences = ["a.apps.googleusercontent.com"] }
    status_iap          = { members = ["group:operators@example.com"] }
    secret_location     = "europe-west1"
    kms = {
      secrets  = "projects/example-project/locations/europe-west1/keyRings/ring/cryptoKeys/secrets"
      regional = "projects/example-project/locations/europe-west1/keyRings/ring/cryptoKeys/functions"
    }
  }

  assert {
    condition = alltrue([for grant in output.iam : anytrue([for line in split("\n", file("../docs/security.md")) : startswith(line, format(
      "| `%s` | `%s` | %s |",
      replace(replace(replace(replace(grant.member, "group:operators@example.com", "operators"), "serviceAccount:", ""), "@example-project.iam.gserviceaccount.com", ""), "/^service-[0-9]+@(.*)[.]iam[.]gserviceaccount[.]com$/", "$1"),
      replace(grant.role, "projects/example-project/roles/", ""), grant.on
    ))])])
    error_message = "A principal has a role that docs/security.md does not list."
  }
  # The table's rows: nothing in it that is not granted here.
  assert {
    condition = length(distinct([for grant in output.iam : [split("@", grant.member)[0], grant.role, grant.on] if !startswith(grant.member, "serviceAccount:service-")])) + length(
      distinct([for grant in output.iam : [grant.member, grant.role, grant.on] if startswith(grant.member, "serviceAccount:service-")])
    ) == length([for line in split("\n", split("<!-- iam:end -->", split("<!-- iam:begin -->", file("../docs/security.md"))[1])[0]) : line if startswith(line, "| `")])
    error_message = "docs/security.md lists a grant that the configuration does not make."
  }
  assert {
    condition     = length([for grant in output.iam : grant if startswith(grant.member, "serviceAccount:token-refresh-token@")]) == 0
    error_message = "The token function asks as its caller: it needs no role."
  }
}

run "without_consent_nothing_is_public" {
  variables {
    consent = null
  }

  assert {
    condition     = length([for grant in output.iam : grant if startswith(grant.member, "all")]) == 0 && !anytrue([for function in google_cloud_run_v2_service.function : function.invoker_iam_disabled])
    error_message = "Something is public."
  }
  assert {
    condition     = length(google_secret_manager_secret_version.signing_key) == 0 && output.redirect_uri == null
    error_message = "Without a consent page there is nothing to sign."
  }
  assert {
    condition     = length(google_logging_project_exclusion.consent) == 0
    error_message = "Without a consent page there is nothing to keep out of the logs."
  }
}

run "all_users_and_global_secrets_under_a_regional_key" {
  variables {
    public_access = "all_users"
    kms           = { regional = "projects/example-project/locations/europe-west1/keyRings/ring/cryptoKeys/functions" }
  }

  assert {
    condition     = toset([for grant in output.iam : "${grant.role} on ${grant.on}" if startswith(grant.member, "all")]) == toset(["roles/run.invoker on function consent"])
    error_message = "Where the invoker check is demanded, allUsers may open the consent page and nothing else."
  }
  assert {
    condition     = alltrue([for function in google_cloud_run_v2_service.function : !function.invoker_iam_disabled])
    error_message = "The invoker check is off although it is demanded."
  }

  assert {
    condition     = !anytrue([for grant in output.iam : grant.on == "your keys" && strcontains(grant.member, "secretmanager")])
    error_message = "Secret Manager may use a key that it has no use for."
  }
}
