# What cannot work is refused before anything is made.

mock_provider "google" {}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id = "example-project"
}

run "project_id" {
  command = plan
  variables {
    project_id = "Example"
  }
  expect_failures = [var.project_id]
}

run "prefix_too_long_for_service_accounts" {
  command = plan
  variables {
    prefix = "token-refresh-for-all"
  }
  expect_failures = [var.prefix]
}

run "consent_url_with_slash_at_its_end" {
  command = plan
  variables {
    consent = { url = "https://consent.example.com/" }
  }
  expect_failures = [var.consent]
}

run "consent_url_in_the_clear" {
  command = plan
  variables {
    consent = { url = "http://consent.example.com" }
  }
  expect_failures = [var.consent]
}

run "setting_of_zero" {
  command = plan
  variables {
    settings = { confirm_after = 0 }
  }
  expect_failures = [var.settings]
}

run "destroy_ttl_under_a_day" {
  command = plan
  variables {
    version_destroy_ttl = "3600s"
  }
  expect_failures = [var.version_destroy_ttl]
}

run "egress" {
  command = plan
  variables {
    vpc = { network = "n", egress = "SOME" }
  }
  expect_failures = [var.vpc]
}

run "egress_by_both_ways" {
  command = plan
  variables {
    vpc = { network = "n", connector = "projects/p/locations/r/connectors/c" }
  }
  expect_failures = [var.vpc]
}

run "schedule_with_a_gap_at_the_hour" {
  command = plan
  variables {
    schedule = "*/7 * * * *"
  }
  expect_failures = [var.schedule]
}

run "lease_shorter_than_its_exchange" {
  command = plan
  variables {
    settings = { lease_seconds = 30 }
  }
  expect_failures = [var.settings]
}

run "regional_secrets_without_a_key_for_the_signing_key" {
  command = plan
  variables {
    secret_location = "europe-west1"
    kms             = { secrets = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k" }
  }
  expect_failures = [var.kms]
}

run "secrets_outside_the_region_of_their_key" {
  command = plan
  variables {
    secret_location = "europe-west3"
    kms             = { secrets = "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k", regional = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k" }
  }
  expect_failures = [var.kms]
}

run "what_is_yours_by_an_unknown_name" {
  command = plan
  variables {
    service_accounts = { refresh = "a@p.iam.gserviceaccount.com" }
    topics           = { refresh = "token-refresh" }
    image_repository = "images"
  }
  expect_failures = [var.service_accounts, var.topics, var.image_repository]
}

run "risc_for_nobody" {
  command = plan
  variables {
    risc = { audiences = [] }
  }
  expect_failures = [var.risc]
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
      roles      = { for key in ["annotator", "describer", "inspector", "versioner"] : key => "projects/example-project/roles/${key}" }
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
