locals {
  settings = { for name, value in var.settings : upper(name) => tostring(value) }

  # Run gives every service this address besides the one with a hash, so the link is known before the function exists.
  consent_url = var.consent == null ? null : coalesce(
    var.consent.url,
    "https://${local.function_names.consent}-${data.google_project.project.number}.${var.region}.run.app",
  )

  environment = merge(
    local.settings,
    {
      GOOGLE_CLOUD_PROJECT = var.project_id
      EVENTS_TOPIC         = google_pubsub_topic.events.name
      REFRESH_TOPIC        = google_pubsub_topic.refresh.name
      # Otherwise the functions framework drops INFO lines, and the metrics with them.
      LOG_EXECUTION_ID = "false"
    },
    var.secret_location == null ? {} : { SECRET_MANAGER_LOCATION = var.secret_location },
    var.providers_toml == null ? {} : { PROVIDERS_FILE = local.providers_file },
    var.runbook_url == null ? {} : { RUNBOOK_URL = var.runbook_url },
  )

  # A consent URL without the key that signs tickets is a bad value: who gets one gets both.
  # `notify` passes on no link but ours, and has to know which those are.
  signers          = var.consent == null ? toset([]) : toset(["refresh", "refresh_http", "consent", "status", "notify"])
  consent_settings = var.consent == null ? {} : { CONSENT_URL = local.consent_url }

  # One instance of each refresh function: pace and per-host limits are kept per process.
  # 540 s: a Pub/Sub push is answered before its deadline of 600 s.
  function_shapes = {
    refresh      = { memory = "1Gi", timeout = 540, instances = 1, concurrency = 16, ingress = "ALLOW_INTERNAL_ONLY" }
    refresh_http = { memory = "1Gi", timeout = 540, instances = 1, concurrency = 16, ingress = "ALLOW_ALL" }
    consent      = { memory = "512Mi", timeout = 60, instances = 4, concurrency = 16, ingress = try(var.consent.behind_load_balancer, false) ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL" }
    notify       = { memory = "512Mi", timeout = 300, instances = 4, concurrency = 8, ingress = "ALLOW_INTERNAL_ONLY" }
    status       = { memory = "512Mi", timeout = 300, instances = 2, concurrency = 8, ingress = var.status_iap == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB" }
  }

  invokers = {
    refresh      = [local.member.push]
    refresh_http = concat([local.member.push, local.member.scheduler], sort(var.operators))
    consent      = try(sort(var.consent.invokers), [])
    notify       = [local.member.push]
    status       = concat(sort(var.operators), var.status_iap == null ? [] : [local.service_agent.iap])
  }
}

resource "google_cloudfunctions2_function" "function" {
  #checkov:skip=CKV_GCP_124:Scheduler, operators and owners come from outside; IAM is the door. What only Pub/Sub calls is internal.
  for_each = local.function_names

  project      = var.project_id
  location     = var.region
  name         = each.value
  description  = "token-refresh: entry point ${each.key}"
  labels       = var.labels
  kms_key_name = var.kms.regional

  build_config {
    runtime           = "python313"
    entry_point       = each.key
    service_account   = "projects/${var.project_id}/serviceAccounts/${local.email.build}"
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = local.email[each.key]
    available_cpu                    = "1"
    available_memory                 = local.function_shapes[each.key].memory
    timeout_seconds                  = local.function_shapes[each.key].timeout
    min_instance_count               = 0
    max_instance_count               = local.function_shapes[each.key].instances
    max_instance_request_concurrency = local.function_shapes[each.key].concurrency
    ingress_settings                 = local.function_shapes[each.key].ingress
    all_traffic_on_latest_revision   = true
    vpc_connector                    = try(var.vpc_egress.connector, null)
    vpc_connector_egress_settings    = try(var.vpc_egress.egress, null)

    environment_variables = merge(
      local.environment,
      { THREADS = tostring(local.function_shapes[each.key].concurrency) },
      contains(local.signers, each.key) ? local.consent_settings : {},
    )

    dynamic "secret_environment_variables" {
      for_each = merge(
        contains(local.signers, each.key) ? { CONSENT_SIGNING_KEY = one(google_secret_manager_secret_version.signing_key[*]) } : {},
        each.key == "notify" ? { NOTIFY_URLS = one(google_secret_manager_secret_version.notify_urls[*]) } : {},
      )
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = reverse(split("/", secret_environment_variables.value.secret))[0]
        version    = secret_environment_variables.value.version
      }
    }
  }

  depends_on = [google_logging_project_exclusion.consent, module.notify_urls, module.signing_key, time_sleep.iam]
}

# Authoritative: who is not listed here cannot call the function.
resource "google_cloud_run_v2_service_iam_binding" "invoker" {
  for_each = { for key, name in local.function_names : key => name if length(local.invokers[key]) > 0 }

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  members  = local.invokers[each.key]
}
