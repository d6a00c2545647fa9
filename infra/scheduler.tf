locals {
  jobs = {
    refresh = {
      name        = var.prefix
      description = "Refresh what is due."
      schedule    = var.schedule
      body        = {}
    }
    clean = {
      name        = "${var.prefix}-clean"
      description = "Destroy stray versions, daily."
      schedule    = "17 3 * * *"
      body        = { clean = true }
    }
  }
}

resource "google_cloud_scheduler_job" "job" {
  for_each = local.jobs

  project          = var.project_id
  region           = var.region
  name             = each.value.name
  description      = each.value.description
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "${min(1800, local.refresher_timeout + 60)}s"

  retry_config {
    retry_count          = 1
    min_backoff_duration = "30s"
  }

  http_target {
    uri         = local.function_url.refresh_http
    http_method = "POST"
    body        = base64encode(jsonencode(each.value.body))
    headers     = { "Content-Type" = "application/json" }

    oidc_token {
      service_account_email = local.email.scheduler
      audience              = local.function_url.refresh_http
    }
  }

  # Of this function's policy alone: a refused grant on another one must not keep the runs from being scheduled.
  depends_on = [google_cloud_run_v2_service_iam_policy.invoker["refresh_http"]]
}
