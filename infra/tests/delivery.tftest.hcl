# Who calls what, when, how long they wait, and where failures go.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id          = "example-project"
  connections         = { gmail-alice = {} }
  notify_urls         = ["json://example.com"]
  notify_urls_version = 1
}

run "deliveries" {
  assert {
    condition     = google_cloud_scheduler_job.job["refresh"].schedule == "*/5 * * * *" && base64decode(google_cloud_scheduler_job.job["refresh"].http_target[0].body) == "{}"
    error_message = "The tick is every five minutes and asks for all that is due."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.job["clean"].http_target[0].body)) == { clean = true }
    error_message = "The janitor cleans."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.job : job.http_target[0].oidc_token[0].service_account_email == "token-refresh-scheduler@example-project.iam.gserviceaccount.com" && job.http_target[0].oidc_token[0].audience == job.http_target[0].uri])
    error_message = "Scheduler calls with an ID token made out to the service."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : subscription.ack_deadline_seconds == 600 && subscription.expiration_policy[0].ttl == "" && subscription.dead_letter_policy[0].max_delivery_attempts == 10 && subscription.retry_policy[0].maximum_backoff == "600s"])
    error_message = "Every push subscription waits 600 s, retries with back-off, dead-letters and never expires."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : subscription.push_config[0].oidc_token[0].service_account_email == "token-refresh-push@example-project.iam.gserviceaccount.com"])
    error_message = "A push without an ID token."
  }
  assert {
    condition     = google_pubsub_subscription.push["notify"].push_config[0].no_wrapper[0].write_metadata && google_pubsub_subscription.push["notify"].enable_message_ordering
    error_message = "Events reach notify as native CloudEvents, in order."
  }
  assert {
    condition     = google_pubsub_subscription.push["refresh"].filter == "NOT attributes:eventType" && strcontains(google_pubsub_subscription.push["secrets"].filter, "SECRET_VERSION_ADD")
    error_message = "Secret Manager's notifications go to refresh_http, requests to refresh."
  }
  assert {
    condition     = endswith(google_pubsub_subscription.push["refresh"].push_config[0].push_endpoint, "/projects/example-project/topics/token-refresh")
    error_message = "The functions framework reads the topic from the path."
  }
  assert {
    condition     = alltrue([for key, function in google_cloudfunctions2_function.function : function.service_config[0].timeout_seconds <= 540])
    error_message = "A function may outlast the deadline of 600 s of who called it."
  }
  assert {
    condition     = alltrue([for key, function in google_cloudfunctions2_function.function : function.service_config[0].environment_variables["THREADS"] == tostring(function.service_config[0].max_instance_request_concurrency)])
    error_message = "The server has as many threads as Cloud Run sends requests."
  }
  assert {
    condition     = alltrue([for key in ["refresh", "refresh_http"] : google_cloudfunctions2_function.function[key].service_config[0].max_instance_count == 1])
    error_message = "The pace is kept per process: one instance each."
  }
  assert {
    condition     = alltrue([for key in ["refresh", "notify"] : google_cloudfunctions2_function.function[key].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "What only Pub/Sub calls is reachable from outside."
  }
  assert {
    condition     = google_pubsub_topic.events.schema_settings[0].encoding == "JSON" && google_pubsub_topic.refresh.name == "token-refresh" && google_pubsub_topic.events.name == "token-refresh-events"
    error_message = "The topics have the names the functions expect, and the events a schema."
  }
  assert {
    condition     = output.redirect_uri == "https://token-refresh-consent-123456789012.europe-west1.run.app/callback"
    error_message = "The consent page's address is known before it exists."
  }
  assert {
    condition = { for exclusion in google_logging_project_exclusion.consent : exclusion.name => exclusion.filter } == {
      token-refresh-consent-requests = "log_id(\"run.googleapis.com/requests\") resource.type=\"cloud_run_revision\" resource.labels.service_name=\"token-refresh-consent\" resource.labels.location=\"europe-west1\""
    }
    error_message = "Exactly the request log of the consent page is dropped."
  }
}

run "consent_behind_a_load_balancer" {
  variables {
    consent = { url = "https://consent.example.com", behind_load_balancer = true }
  }

  assert {
    condition     = google_cloudfunctions2_function.function["consent"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB" && output.redirect_uri == "https://consent.example.com/callback"
    error_message = "Traffic may pass by the load balancer."
  }
  assert {
    condition     = google_logging_project_exclusion.consent["consent-address"].filter == "httpRequest.requestUrl:\"//consent.example.com/\""
    error_message = "The load balancer's log keeps the URLs."
  }
}

run "vpc_egress" {
  variables {
    vpc_egress = { connector = "projects/example-project/locations/europe-west1/connectors/egress" }
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.function : function.service_config[0].vpc_connector_egress_settings == "ALL_TRAFFIC"])
    error_message = "Traffic leaves outside the VPC."
  }
}
