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
    vpc_egress = { connector = "projects/p/locations/r/connectors/c", egress = "SOME" }
  }
  expect_failures = [var.vpc_egress]
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
    name           = "gmail alice"
    oauth_provider = "Google"
    scopes         = ["two scopes"]
    format         = "xml"
    variables      = { tenant = ".." }
    consumers      = ["allUsers"]
  }
  expect_failures = [var.name, var.oauth_provider, var.scopes, var.format, var.variables, var.consumers]
}
