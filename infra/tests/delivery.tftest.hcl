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
    condition     = toset(keys(google_cloud_run_v2_service.function)) == toset(["refresh_http", "consent", "notify", "status"])
    error_message = "One refresher; token and risc only where they are asked for."
  }
  assert {
    condition     = toset([for key, subscription in google_pubsub_subscription.push : key if subscription.push_config[0].push_endpoint == google_cloud_run_v2_service.function["refresh_http"].uri]) == toset(["refresh"])
    error_message = "Every subscription of the refresh topic comes to refresh_http."
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.push : subscription.ack_deadline_seconds == 600 && subscription.expiration_policy[0].ttl == "" && subscription.retry_policy[0].maximum_backoff == "600s"])
    error_message = "Every push subscription waits 600 s, retries with back-off and never expires."
  }
  assert {
    condition     = { for key, subscription in google_pubsub_subscription.push : key => subscription.dead_letter_policy[0].max_delivery_attempts if length(subscription.dead_letter_policy) > 0 } == { refresh = 10, notify = 100 }
    error_message = "A request gives up after 40 minutes, for the tick has done it; an event lasts a mail server's night."
  }
  # 100 deliveries, 600 s apart, are over before the 24 hours of contract 8 are.
  assert {
    condition     = endswith(google_pubsub_subscription.push["notify_late"].topic, "/topics/token-refresh-events-dead-letters") && google_pubsub_subscription.push["notify_late"].push_config[0].push_endpoint == google_cloud_run_v2_service.function["notify"].uri && google_pubsub_subscription.push["notify_late"].push_config[0].no_wrapper[0].write_metadata && google_pubsub_subscription.push["notify_late"].message_retention_duration == "86400s"
    error_message = "notify hears of an event until its owner has been refused for a day."
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
    condition     = strcontains(google_pubsub_subscription.push["refresh"].filter, "NOT attributes:eventType") && strcontains(google_pubsub_subscription.push["refresh"].filter, "SECRET_VERSION_ADD") && !strcontains(google_pubsub_subscription.push["refresh"].filter, "SECRET_UPDATE")
    error_message = "Requests and new versions are delivered, our own lease and status writes are not."
  }
  assert {
    condition     = alltrue([for key, function in google_cloud_run_v2_service.function : one([for env in function.template[0].containers[0].env : env.value if env.name == "THREADS"]) == tostring(function.template[0].max_instance_request_concurrency)])
    error_message = "The server has as many threads as Cloud Run sends requests."
  }
  assert {
    condition     = google_cloud_run_v2_service.function["refresh_http"].scaling[0].max_instance_count == 1 && google_cloud_run_v2_service.function["refresh_http"].template[0].scaling[0].max_instance_count == 1
    error_message = "The pace is kept per process: one instance, over all revisions."
  }
  assert {
    condition     = google_cloud_run_v2_service.function["notify"].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "What only Pub/Sub calls is reachable from outside."
  }
  assert {
    condition     = google_pubsub_topic.topic["events"].schema_settings[0].encoding == "JSON" && google_pubsub_topic.topic["refresh"].name == "token-refresh" && google_pubsub_topic.topic["events"].name == "token-refresh-events"
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
  assert {
    condition     = alltrue([for function in google_cloud_run_v2_service.function : function.deletion_protection == false && function.traffic[0].type == "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"])
    error_message = "A trial can be destroyed, and an apply ends a rollback."
  }
}

run "many_options" {
  variables {
    schedule           = "* * * * *"
    consent            = { url = "https://consent.example.com", behind_load_balancer = true }
    vpc                = { subnetwork = "egress", tags = ["token-refresh"] }
    token              = {}
    risc               = { audiences = ["a.apps.googleusercontent.com", "b.apps.googleusercontent.com"] }
    access_token_topic = true
    connections        = { gmail-alice = {}, books = { format = "text" } }
  }

  assert {
    condition     = one([for env in google_cloud_run_v2_service.function["refresh_http"].template[0].containers[0].env : env.value if env.name == "RUN_EVERY"]) == "60" && google_cloud_scheduler_job.job["refresh"].schedule == "* * * * *"
    error_message = "RUN_EVERY follows from the schedule."
  }

  assert {
    condition     = google_cloud_run_v2_service.function["consent"].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" && output.redirect_uri == "https://consent.example.com/callback"
    error_message = "Traffic may pass by the load balancer."
  }
  assert {
    condition     = google_logging_project_exclusion.consent["consent-address"].filter == "httpRequest.requestUrl:\"//consent.example.com/\""
    error_message = "The load balancer's log keeps the URLs."
  }

  assert {
    condition     = alltrue([for function in google_cloud_run_v2_service.function : function.template[0].vpc_access[0].egress == "ALL_TRAFFIC" && function.template[0].vpc_access[0].network_interfaces[0].subnetwork == "egress"])
    error_message = "Traffic leaves outside the VPC."
  }

  assert {
    condition     = toset(keys(output.credential_files)) == toset(["gmail-alice"])
    error_message = "A credential file for each connection whose document the token function hands out."
  }
  assert {
    condition     = jsondecode(output.credential_files["gmail-alice"]).audience == "//token-refresh/connections/gmail-alice" && jsondecode(output.credential_files["gmail-alice"]).token_url == "https://token-refresh-token-123456789012.europe-west1.run.app/token"
    error_message = "The file asks for another connection, or elsewhere."
  }
  assert {
    condition     = alltrue([for key in ["token", "risc", "consent"] : google_cloud_run_v2_service.function[key].invoker_iam_disabled]) && alltrue([for key in ["refresh_http", "status", "notify"] : !google_cloud_run_v2_service.function[key].invoker_iam_disabled])
    error_message = "Exactly consent, token and risc are public."
  }
  assert {
    condition     = one([for env in google_cloud_run_v2_service.function["risc"].template[0].containers[0].env : env.value if env.name == "RISC_AUDIENCES"]) == "a.apps.googleusercontent.com,b.apps.googleusercontent.com"
    error_message = "risc does not know whose tokens it takes."
  }
}

run "what_is_yours_every_half_hour" {
  variables {
    schedule         = "*/30 * * * *"
    vpc              = { connector = "projects/example-project/locations/europe-west1/connectors/egress" }
    service_accounts = { refresh_http = "refresher@other-project.iam.gserviceaccount.com", push = "push@other-project.iam.gserviceaccount.com" }
    topics           = { refresh = "projects/other-project/topics/requests" }
    image_repository = "projects/other-project/locations/europe/repositories/functions"
    source_bucket    = "their-sources"
  }

  # A run may begin work for 1710 s, and has its leases' time to end it.
  assert {
    condition     = google_cloud_run_v2_service.function["refresh_http"].template[0].timeout == "1890s" && google_cloud_scheduler_job.job["refresh"].attempt_deadline == "1800s"
    error_message = "A run is cut off in the middle of an exchange."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.alert["Runs have stopped"].conditions[0].condition_prometheus_query_language[0].query, "[5400s]")
    error_message = "A slower schedule is not silence."
  }

  assert {
    condition     = alltrue([for function in google_cloud_run_v2_service.function : function.template[0].vpc_access[0].connector != null && length(function.template[0].vpc_access[0].network_interfaces) == 0])
    error_message = "A connector and an interface at once are refused."
  }

  assert {
    condition     = google_cloud_run_v2_service.function["refresh_http"].template[0].service_account == "refresher@other-project.iam.gserviceaccount.com" && !contains(keys(google_service_account.account), "refresh_http")
    error_message = "The account is not the one that was brought."
  }
  assert {
    condition     = google_pubsub_subscription.push["refresh"].topic == "projects/other-project/topics/requests" && keys(google_pubsub_topic.topic) == ["events"] && keys(google_pubsub_topic_iam_binding.publisher) == ["events"]
    error_message = "The topic is not the one that was brought, or its policy is taken over."
  }
  assert {
    condition     = google_cloud_run_v2_service.function["status"].build_config[0].image_uri == "europe-docker.pkg.dev/other-project/functions/token-refresh-status" && length(google_artifact_registry_repository.images) == 0
    error_message = "The image goes elsewhere."
  }
  assert {
    condition     = startswith(google_cloud_run_v2_service.function["status"].build_config[0].source_location, "gs://their-sources/token-refresh/source-") && length(google_storage_bucket.source) == 0
    error_message = "The source goes elsewhere."
  }
}
