# Seven alerts, each with its page of the runbook; labels that cannot explode; a dashboard that is one.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}
mock_provider "time" {}

variables {
  project_id   = "example-project"
  notify_urls  = [] # without a value here, `terraform test` wants one while applying
  alert_emails = ["oncall@example.com"]
  runbook_url  = "https://wiki.example.com/runbook"
}

run "monitoring" {
  assert {
    condition     = length(google_monitoring_alert_policy.alert) == 7
    error_message = "Seven alerts."
  }
  assert {
    condition     = google_monitoring_alert_policy.alert["A new refresh token is not saved"].severity == "CRITICAL"
    error_message = "A grant is at stake."
  }
  assert {
    condition     = alltrue([for heading, alert in google_monitoring_alert_policy.alert : strcontains(alert.documentation[0].content, "**Do**") && length(alert.documentation[0].content) < 8192])
    error_message = "An alert lacks its runbook text, or the text is longer than Cloud Monitoring takes."
  }
  assert {
    condition     = alltrue([for heading, alert in google_monitoring_alert_policy.alert : alert.documentation[0].links[0].url == "https://wiki.example.com/runbook#${replace(lower(heading), " ", "-")}"])
    error_message = "An alert links elsewhere."
  }
  assert {
    condition     = alltrue([for alert in google_monitoring_alert_policy.alert : length(alert.notification_channels) == 1])
    error_message = "An alert goes nowhere."
  }
  assert {
    condition = alltrue([for metric in merge(google_logging_metric.counter, google_logging_metric.distribution) : alltrue([
      for label in metric.metric_descriptor[0].labels : contains(["outcome", "reason", "provider", "step"], label.key)
    ])])
    error_message = "A metric has a label that may take any value."
  }
  assert {
    condition     = alltrue([for metric in google_logging_metric.counter : strcontains(metric.filter, "\"token-refresh-http\"")])
    error_message = "A metric listens to other services."
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
