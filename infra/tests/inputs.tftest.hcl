# What cannot work is refused before anything is made. One bad value of each variable a run.

mock_provider "google" {}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id = "example-project"
}

run "first_bad_values" {
  command = plan
  variables {
    project_id          = "Example"
    prefix              = "token-refresh-for-all"
    consent             = { url = "https://consent.example.com/" }
    settings            = { confirm_after = 0 }
    version_destroy_ttl = "3600s"
    vpc                 = { network = "n", egress = "SOME" }
    schedule            = "*/7 * * * *"
    secret_location     = "europe-west1"
    kms                 = { secrets = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/without-one-for-the-signing-key" }
    service_accounts    = { refresh = "a@p.iam.gserviceaccount.com" }
    topics              = { refresh = "token-refresh" }
    image_repository    = "images"
    risc                = { audiences = [] }
    public_access       = "everybody"
    notify_urls_version = 1.5
    signing_key_version = 0
    slo_goal            = 1
  }
  expect_failures = [
    var.project_id, var.prefix, var.consent, var.settings, var.version_destroy_ttl, var.vpc, var.schedule, var.kms, var.service_accounts,
    var.topics, var.image_repository, var.risc, var.public_access, var.notify_urls_version, var.signing_key_version, var.slo_goal,
  ]
}

run "second_bad_values" {
  command = plan
  variables {
    consent         = { url = "http://consent.example.com" }
    settings        = { lease_seconds = 30 } # shorter than its exchange
    vpc             = { network = "n", connector = "projects/p/locations/r/connectors/c" }
    secret_location = "europe-west3" # where the regional key is not
    kms             = { secrets = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k", regional = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k" }
    token           = { url = "https://token.example.com/" }
  }
  expect_failures = [var.consent, var.settings, var.vpc, var.kms, var.token]
}

run "connection" {
  command = plan
  module {
    source = "./modules/connection"
  }
  variables {
    deployment = {
      project_id = "example-project"
      refreshers = ["serviceAccount:token-refresh@example-project.iam.gserviceaccount.com"]
      roles      = { for key in ["annotator", "dater", "describer", "inspector", "versioner"] : key => "projects/example-project/roles/${key}" }
    }
    name             = "gmail alice"
    oauth_provider   = "Google"
    scopes           = ["two scopes"]
    format           = "xml"
    variables        = { tenant = ".." }
    consumers        = ["allUsers"]
    consent_warnings = "soon"
  }
  expect_failures = [var.name, var.oauth_provider, var.scopes, var.format, var.variables, var.consumers, var.consent_warnings]
}
