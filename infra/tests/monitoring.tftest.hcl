# Each alert with its page of the runbook; labels that cannot explode; an SLO; a dashboard that is one.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id   = "example-project"
  alert_emails = ["oncall@example.com"]
  runbook_url  = "https://wiki.example.com/runbook"
}

run "monitoring" {
  assert {
    condition     = length(google_monitoring_alert_policy.alert) == 8 && length(google_monitoring_alert_policy.burn) == 2
    error_message = "Eight causes and two speeds of burning."
  }
  assert {
    condition     = google_monitoring_alert_policy.alert["A new refresh token is not saved"].severity == "CRITICAL"
    error_message = "A grant is at stake."
  }
  assert {
    condition     = alltrue([for alert in concat(values(google_monitoring_alert_policy.alert), values(google_monitoring_alert_policy.burn)) : strcontains(alert.documentation[0].content, "**Do**") && length(alert.documentation[0].content) < 8192])
    error_message = "An alert lacks its runbook text, or the text is longer than Cloud Monitoring takes."
  }
  assert {
    condition     = alltrue([for heading, alert in google_monitoring_alert_policy.alert : alert.documentation[0].links[0].url == "https://wiki.example.com/runbook#${replace(lower(heading), " ", "-")}"])
    error_message = "An alert links elsewhere."
  }
  assert {
    condition     = alltrue([for alert in concat(values(google_monitoring_alert_policy.alert), values(google_monitoring_alert_policy.burn)) : length(alert.notification_channels) == 1])
    error_message = "An alert goes nowhere."
  }
  assert {
    condition = alltrue([for metric in merge(google_logging_metric.counter, google_logging_metric.distribution) : alltrue([
      for label in metric.metric_descriptor[0].labels : contains(["outcome", "reason", "provider", "step"], label.key)
    ])])
    error_message = "A metric has a label that may take any value."
  }
  assert {
    condition = alltrue([for metric in google_logging_metric.counter : alltrue([
      for label, extractor in coalesce(metric.label_extractors, {}) : label != "reason" || startswith(extractor, "REGEXP_EXTRACT(jsonPayload.reason, \"^(access_denied|")
    ])])
    error_message = "A reason that a provider made up becomes a time series."
  }
  assert {
    condition     = alltrue([for metric in google_logging_metric.counter : strcontains(metric.filter, "\"token-refresh-http\"")])
    error_message = "A metric listens to other services."
  }
  assert {
    condition     = strcontains(google_logging_metric.counter["runs"].filter, "jsonPayload.is_whole=true")
    error_message = "A run over one connection, or one that failed, counts as a sign of life."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.alert["Runs have stopped"].conditions) == 2 && !strcontains(google_monitoring_alert_policy.alert["Runs have stopped"].conditions[1].condition_prometheus_query_language[0].query, "logging_googleapis_com")
    error_message = "The second sign of life does not depend on our log lines."
  }
  assert {
    condition     = google_monitoring_slo.promised_life.goal == 0.99 && google_monitoring_slo.promised_life.request_based_sli[0].distribution_cut[0].range[0].min == 99
    error_message = "The SLO is another one."
  }
  assert {
    condition     = google_monitoring_alert_policy.burn["fast"].conditions[0].condition_threshold[0].filter == "select_slo_burn_rate(\"projects/example-project/services/token-refresh/serviceLevelObjectives/promised-life\", \"3600s\")"
    error_message = "The alert looks at another SLO."
  }
  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.dashboard.dashboard_json).mosaicLayout.tiles) == 12
    error_message = "The dashboard lost a tile."
  }
  assert {
    condition     = !strcontains(google_monitoring_dashboard.dashboard.dashboard_json, "$${metric}")
    error_message = "The dashboard was not filled in."
  }
}
