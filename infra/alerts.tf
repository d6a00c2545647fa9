locals {
  # PromQL's names for our metrics: every special character becomes an underscore.
  promql_metric = { for name in concat(keys(local.counters), keys(local.distributions)) :
  name => "logging_googleapis_com:user_${replace(var.prefix, "-", "_")}_${name}" }
  on_cloud_run = "monitored_resource=\"cloud_run_revision\""

  # Three ticks, and a quarter of an hour at least.
  silence = "${max(900, 3 * local.run_every)}s"

  # Heading in docs/runbook.md -> the alert; each query is a condition of its own.
  alerts = {
    # New deaths, not standing ones: the second of a hundred raises it as the first does.
    "A connection needs consent" = {
      severity = "WARNING"
      duration = "0s"
      queries  = ["sum by (reason) (increase(${local.promql_metric.deaths}{${local.on_cloud_run}}[10m])) > 0"]
    }
    "An owner has not consented" = {
      severity = "WARNING"
      duration = "0s"
      queries  = ["sum(increase(${local.promql_metric.consents_overdue}{${local.on_cloud_run}}[10m])) > 0"]
    }
    "A client is rejected" = {
      severity = "CRITICAL"
      duration = "0s"
      queries  = ["sum by (provider, reason) (increase(${local.promql_metric.connections}{${local.on_cloud_run},outcome=~\"rejected|misconfigured\"}[10m])) > 0"]
    }
    "Refreshing fails" = {
      severity = "ERROR"
      duration = "900s"
      queries  = ["sum by (provider, reason) (increase(${local.promql_metric.connections}{${local.on_cloud_run},outcome=\"unavailable\"}[10m])) > 0"]
    }
    # Both also true where no run ever was. The second does without our log lines: Cloud Run's own count of good answers.
    "Runs have stopped" = {
      severity = "CRITICAL"
      duration = "60s"
      queries = [
        "(sum(increase(${local.promql_metric.runs}{${local.on_cloud_run}}[${local.silence}])) or vector(0)) < 1",
        "(sum(increase(run_googleapis_com:request_count{${local.on_cloud_run},service_name=\"${local.function_names.refresh_http}\",response_code_class=\"2xx\"}[${local.silence}])) or vector(0)) < 1",
      ]
    }
    "Dead-lettered messages" = {
      severity = "ERROR"
      duration = "0s"
      queries  = ["max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${join("|", sort([for subscription in google_pubsub_subscription.dead_letters : subscription.name]))}\"}) > 0"]
    }
    "A new refresh token is not saved" = {
      severity = "CRITICAL"
      duration = "0s"
      queries  = ["sum(increase(${local.promql_metric.rotated_tokens_not_saved}{${local.on_cloud_run}}[10m])) > 0"]
    }
    "An access token is about to run out" = {
      severity = "CRITICAL"
      duration = "0s"
      queries  = ["sum(increase(${local.promql_metric.runs_short_of_life}{${local.on_cloud_run}}[10m])) > 0"]
    }
  }

  channels = concat([for channel in google_monitoring_notification_channel.email : channel.id], sort(var.notification_channels))

  # Heading -> text, so that the alert itself says what to do.
  runbook = { for section in slice(split("\n## ", local.runbook_text), 1, length(split("\n## ", local.runbook_text))) :
    split("\n", section)[0] => join("\n", slice(split("\n", section), 1, length(split("\n", section))))
  }
  runbook_text = file("${path.module}/../docs/runbook.md")
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  project      = var.project_id
  display_name = "${var.prefix}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.service]
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = { for heading, alert in local.alerts : heading => alert if !contains(var.alerts_left_out, heading) }

  project               = var.project_id
  display_name          = "${var.prefix}: ${each.key}"
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = var.labels

  dynamic "conditions" {
    for_each = each.value.queries
    content {
      display_name = length(each.value.queries) == 1 ? each.key : "${each.key} (${conditions.key + 1})"
      condition_prometheus_query_language {
        query               = conditions.value
        duration            = each.value.duration
        evaluation_interval = "60s"
        # The metric comes into being with the first matching log line, which may be much later.
        disable_metric_validation = true
      }
    }
  }

  alert_strategy {
    auto_close = "1800s"
  }

  documentation {
    subject   = "${var.prefix}: ${each.key}"
    mime_type = "text/markdown"
    content   = "## ${each.key}\n${local.runbook[each.key]}"

    dynamic "links" {
      for_each = var.runbook_url == null ? [] : ["${var.runbook_url}#${replace(lower(each.key), " ", "-")}"]
      content {
        display_name = "Runbook"
        url          = links.value
      }
    }
  }

  depends_on = [google_logging_metric.counter]
}

resource "google_monitoring_dashboard" "dashboard" {
  project = var.project_id
  dashboard_json = templatefile("${path.module}/dashboard.json", {
    prefix     = var.prefix
    metric     = "logging_googleapis_com:user_${replace(var.prefix, "-", "_")}"
    log_source = replace(local.log_source, "\"", "\\\"")
  })
  depends_on = [google_logging_metric.counter, google_logging_metric.distribution]
}
