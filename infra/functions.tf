locals {
  # `* * * * *` or `*/N * * * *`.
  run_every   = 60 * try(tonumber(regex("^\\*/([0-9]+) ", var.schedule)[0]), 1)
  run_seconds = coalesce(var.settings.run_seconds, 0.95 * local.run_every)

  settings = { for name, value in var.settings : upper(name) => tostring(value) if value != null }

  # Run gives every service this address besides the one with a hash, so the link is known before the function exists.
  consent_url = var.consent == null ? null : coalesce(
    var.consent.url,
    "https://${local.function_names.consent}-${data.google_project.project.number}.${var.region}.run.app",
  )
  token_url = var.token == null ? null : coalesce(
    var.token.url,
    "https://${local.function_names.token}-${data.google_project.project.number}.${var.region}.run.app",
  )

  environment = merge(
    local.settings,
    {
      GOOGLE_CLOUD_PROJECT = var.project_id
      EVENTS_TOPIC         = local.topic_id.events
      REFRESH_TOPIC        = local.topic_id.refresh
      RUN_EVERY            = tostring(local.run_every)
      # Otherwise the functions framework drops INFO lines, and the metrics with them.
      LOG_EXECUTION_ID = "false"
    },
    var.secret_location == null ? {} : { SECRET_MANAGER_LOCATION = var.secret_location },
    var.providers_toml == null ? {} : { PROVIDERS_FILE = local.providers_file },
    var.runbook_url == null ? {} : { RUNBOOK_URL = var.runbook_url },
  )
  risc_settings = var.risc == null ? {} : {
    RISC_AUDIENCES = join(",", sort(var.risc.audiences))
    RISC_ISSUER    = var.risc.issuer
    RISC_JWKS_URL  = var.risc.jwks_url
  }

  # A consent URL without the key that signs tickets is a bad value: who gets one gets both.
  signers          = var.consent == null ? toset([]) : toset(["refresh_http", "consent", "status"])
  consent_settings = var.consent == null ? {} : { CONSENT_URL = local.consent_url }
  # `notify` passes on no link but ours and has to know which those are. It signs nothing, so it does not get the key.
  notify_settings = var.consent == null ? {} : { CONSENT_URL = local.consent_url, CONSENT_SIGNING_KEY = "none: notify signs nothing and checks no ticket" }

  # A run begins nothing after RUN_SECONDS and has its leases' time to end what it began: never cut off in the middle of an
  # exchange. Scheduler waits for half an hour at most, Pub/Sub for ten minutes; who asks twice is told `busy`.
  refresher_timeout = max(540, ceil(local.run_seconds + var.settings.lease_seconds + 60))

  function_shapes = {
    # One instance: pace, memory and per-host limits are kept per process. That is part of the promise.
    refresh_http = { timeout = local.refresher_timeout, instances = 1, concurrency = 16, ingress = var.refresh_ingress }
    # One instance likewise: what a link may ask for is counted per process. Storing waits for a refresh for up to 30 s.
    consent = { timeout = 120, instances = 1, concurrency = 32, ingress = try(var.consent.behind_load_balancer, false) ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL" }
    notify  = { timeout = 300, instances = 4, concurrency = 8, ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY" }
    status  = { timeout = 300, instances = 2, concurrency = 8, ingress = "INGRESS_TRAFFIC_ALL" }
    token   = { timeout = 30, instances = 10, concurrency = 32, ingress = try(var.token.internal, false) ? "INGRESS_TRAFFIC_INTERNAL_ONLY" : "INGRESS_TRAFFIC_ALL" }
    risc    = { timeout = 60, instances = 2, concurrency = 16, ingress = "INGRESS_TRAFFIC_ALL" }
  }

  # Their callers have no Google Cloud identity, or bring it in the body: a signed ticket, a Google access token, a signed event.
  public = toset(["consent", "token", "risc"])
  invokers = {
    refresh_http = concat([local.member.push, local.member.scheduler], sort(var.operators))
    notify       = [local.member.push]
    status       = concat(sort(var.operators), var.status_iap == null ? [] : [local.service_agent.iap])
    consent      = var.public_access == "all_users" ? ["allUsers"] : []
    token        = var.public_access == "all_users" ? ["allUsers"] : []
    risc         = var.public_access == "all_users" ? ["allUsers"] : []
  }

  base_image = "${var.region}-docker.pkg.dev/serverless-runtimes/google-22/runtimes/python313"
}

resource "google_cloud_run_v2_service" "function" {
  for_each = local.function_names

  project              = var.project_id
  location             = var.region
  name                 = each.value
  description          = "token-refresh: entry point ${each.key}"
  labels               = var.labels
  ingress              = local.function_shapes[each.key].ingress
  invoker_iam_disabled = contains(local.public, each.key) && var.public_access == "invoker_check_off"
  iap_enabled          = each.key == "status" && var.status_iap != null
  # Nothing in it that an apply could not make again.
  deletion_protection = false

  # Over all revisions, so that a deployment does not make two refreshers of one for longer than Run needs to move the traffic.
  scaling {
    max_instance_count = local.function_shapes[each.key].instances
  }

  build_config {
    source_location          = "gs://${google_storage_bucket_object.source.bucket}/${google_storage_bucket_object.source.name}"
    function_target          = each.key
    image_uri                = "${local.registry_host}/${each.value}"
    base_image               = local.base_image
    enable_automatic_updates = true
    service_account          = "projects/${var.project_id}/serviceAccounts/${local.email.build}"
    worker_pool              = var.build_worker_pool
    # The builder compiles the source, then sets the time of all files back: bytecode that goes by it would be stale, and each
    # cold start would compile everything anew. With this it goes by the content (py_compile).
    environment_variables = { SOURCE_DATE_EPOCH = "315532801" }
  }

  template {
    service_account                  = local.email[each.key]
    timeout                          = "${local.function_shapes[each.key].timeout}s"
    max_instance_request_concurrency = local.function_shapes[each.key].concurrency
    encryption_key                   = var.kms.regional

    scaling {
      min_instance_count = 0
      max_instance_count = local.function_shapes[each.key].instances
    }

    dynamic "vpc_access" {
      for_each = var.vpc == null ? [] : [var.vpc]
      content {
        connector = vpc_access.value.connector
        egress    = vpc_access.value.egress

        dynamic "network_interfaces" {
          for_each = vpc_access.value.connector == null ? [vpc_access.value] : []
          content {
            network    = network_interfaces.value.network
            subnetwork = network_interfaces.value.subnetwork
            tags       = network_interfaces.value.tags
          }
        }
      }
    }

    containers {
      image          = "${local.registry_host}/${each.value}"
      base_image_uri = local.base_image

      resources {
        limits            = { cpu = "1", memory = "512Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge(
          local.environment,
          { THREADS = tostring(local.function_shapes[each.key].concurrency) },
          contains(local.signers, each.key) ? local.consent_settings : {},
          each.key == "notify" ? local.notify_settings : {},
          each.key == "risc" ? local.risc_settings : {},
        )
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = merge(
          contains(local.signers, each.key) ? { CONSENT_SIGNING_KEY = { secret = one(module.signing_key[*].id), version = var.signing_key_version } } : {},
          each.key == "notify" ? { NOTIFY_URLS = { secret = module.notify_urls.id, version = var.notify_urls_version } } : {},
        )
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }
    }
  }

  # An apply ends a rollback by `gcloud run services update-traffic`.
  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  depends_on = [
    google_logging_project_exclusion.consent,
    google_secret_manager_secret_version.signing_key,
    module.notify_urls,
    module.signing_key,
    time_sleep.iam,
  ]
}

# The whole policy, also where it is empty: who is not listed here cannot call the function. It follows a replaced service.
resource "google_cloud_run_v2_service_iam_policy" "invoker" {
  for_each = local.function_names

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.function[each.key].name
  policy_data = jsonencode({
    bindings = [for role, members in { "roles/run.invoker" = local.invokers[each.key] } : { role = role, members = sort(members) } if length(members) > 0]
  })

  lifecycle {
    replace_triggered_by = [google_cloud_run_v2_service.function[each.key].uid]
  }
}
