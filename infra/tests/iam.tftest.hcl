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
  project_id  = "example-project"
  notify_urls = [] # without a value here, `terraform test` wants one while applying
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
    condition     = toset([for grant in output.iam : "${grant.role} on ${grant.on}" if startswith(grant.member, "all")]) == toset(["roles/run.invoker on function consent"])
    error_message = "The public may do more than open the consent page."
  }
  assert {
    condition = toset([for grant in output.iam : split("@", grant.member)[0] if grant.on == "connection secrets" && grant.role == "roles/secretmanager.secretAccessor"]) == toset([
      "serviceAccount:token-refresh", "serviceAccount:token-refresh-http", "serviceAccount:token-refresh-consent",
    ])
    error_message = "Only the functions that exchange grants may read them."
  }
  assert {
    condition     = alltrue([for role in google_project_iam_custom_role.role : alltrue([for permission in role.permissions : startswith(permission, "secretmanager.")])])
    error_message = "A custom role reaches beyond Secret Manager."
  }
  assert {
    condition     = google_project_iam_custom_role.role["annotator"].permissions == toset(["secretmanager.secrets.update"])
    error_message = "The annotator may do more than annotate."
  }
  assert {
    condition     = length(distinct([for function in google_cloudfunctions2_function.function : function.service_config[0].service_account_email])) == length(google_cloudfunctions2_function.function)
    error_message = "Two functions share a service account."
  }
  assert {
    condition     = !contains(keys(google_cloud_run_v2_service_iam_binding.invoker), "status")
    error_message = "The status page is open to somebody without operators."
  }
}

run "everything_switched_on" {
  variables {
    operators           = ["group:operators@example.com"]
    notify_urls         = ["json://example.com"]
    notify_urls_version = 1
    status_iap          = { domain = "tokens.example.com", members = ["group:operators@example.com"] }
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
}

run "without_consent_nothing_is_public" {
  variables {
    consent = null
  }

  assert {
    condition     = length([for grant in output.iam : grant if startswith(grant.member, "all")]) == 0
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
