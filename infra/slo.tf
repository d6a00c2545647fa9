# The promise, as readers of access tokens would put it: of the runs of 28 days, so many find that (nearly) every connection has
# a token with the promised life. A run is one sample; what it saw is its field `promised_percent` (docs/runbook.md, Log lines).

locals {
  # Look-back -> how many times faster than the goal allows the budget may burn. With a goal of 99 % and a run every five minutes:
  # three bad runs in an hour, nine in a day.
  burn_rates = {
    fast = { lookback = "3600s", threshold = 20, severity = "CRITICAL" }
    slow = { lookback = "86400s", threshold = 3, severity = "WARNING" }
  }
}

resource "google_monitoring_custom_service" "tokens" {
  project      = var.project_id
  service_id   = var.prefix
  display_name = "${var.prefix}: access tokens"
  user_labels  = var.labels
  depends_on   = [google_project_service.service]
}

# Cloud Monitoring knows a new log-based metric only after a while.
resource "time_sleep" "metrics" {
  create_duration = "60s"
  triggers        = { metric = google_logging_metric.distribution["promised_percent"].name }
}

resource "google_monitoring_slo" "promised_life" {
  project             = var.project_id
  service             = google_monitoring_custom_service.tokens.service_id
  slo_id              = "promised-life"
  display_name        = "Access tokens have the promised life"
  goal                = var.slo_goal
  rolling_period_days = 28
  user_labels         = var.labels

  request_based_sli {
    distribution_cut {
      distribution_filter = "metric.type=\"logging.googleapis.com/user/${time_sleep.metrics.triggers.metric}\" resource.type=\"cloud_run_revision\""
      range {
        min = 99
      }
    }
  }
}

resource "google_monitoring_alert_policy" "burn" {
  for_each = contains(var.alerts_left_out, "Tokens miss their promised life") ? {} : local.burn_rates

  project               = var.project_id
  display_name          = "${var.prefix}: Tokens miss their promised life (${each.key})"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = var.labels

  conditions {
    display_name = "Tokens miss their promised life (${each.key})"
    condition_threshold {
      filter = format(
        "select_slo_burn_rate(\"projects/%s/services/%s/serviceLevelObjectives/%s\", \"%s\")",
        var.project_id, google_monitoring_slo.promised_life.service, google_monitoring_slo.promised_life.slo_id, each.value.lookback,
      )
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = "0s"
    }
  }

  documentation {
    subject   = "${var.prefix}: Tokens miss their promised life (${each.key})"
    mime_type = "text/markdown"
    content   = "## Tokens miss their promised life\n${local.runbook["Tokens miss their promised life"]}"

    dynamic "links" {
      for_each = var.runbook_url == null ? [] : ["${var.runbook_url}#tokens-miss-their-promised-life"]
      content {
        display_name = "Runbook"
        url          = links.value
      }
    }
  }
}
