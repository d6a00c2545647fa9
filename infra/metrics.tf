# Metrics from the functions' log lines (docs/runbook.md, Log lines). Labels never name a connection.

locals {
  log_source = join(" ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [for name in sort(values(local.function_names)) : "\"${name}\""])})",
  ])
  connection_labels = ["outcome", "reason", "provider"]
  states            = ["healthy", "suspect", "needs_consent", "rejected", "unavailable", "misconfigured"]

  counters = {
    connections = {
      description = "Connections handled by a run, by outcome."
      filter      = "jsonPayload.event=\"connection\""
      labels      = local.connection_labels
    }
    access_tokens_running_out = {
      description = "Access tokens with less than five minutes left that could not be replaced."
      filter      = "jsonPayload.event=\"connection\" jsonPayload.access_token_seconds_left<300 jsonPayload.outcome=(\"busy\" OR \"suspect\" OR \"rejected\" OR \"unavailable\" OR \"misconfigured\")"
      labels      = local.connection_labels
    }
    runs = {
      description = "Runs carried out."
      filter      = "jsonPayload.event=\"run\""
      labels      = []
    }
    rotated_tokens_not_saved = {
      description = "Attempts to store a new refresh token, given up: the only copy is in an instance's memory."
      filter      = "jsonPayload.event=\"rotated_token_not_saved\""
      labels      = []
    }
    consent_steps = {
      description = "Steps of the re-consent: page, redirected, granted, refused."
      filter      = "jsonPayload.event=\"consent\""
      labels      = ["step"]
    }
  }

  distributions = merge(
    {
      least_seconds_left = {
        description = "Life left, after a run, in the access token that runs out first."
        filter      = "jsonPayload.event=\"run\" jsonPayload.least_seconds_left>=0"
        field       = "least_seconds_left"
        unit        = "s"
        labels      = []
        bounds      = [0, 60, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 14400, 28800, 86400]
      }
      run_duration = {
        description = "Duration of runs."
        filter      = "jsonPayload.event=\"run\""
        field       = "duration_seconds"
        unit        = "s"
        labels      = []
        bounds      = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 480]
      }
    },
    # A log-based metric cannot be a gauge: the mean of what the runs saw stands in for it.
    {
      for state in local.states : "state_${state}" => {
        description = "Connections in state ${state}, as each full run sees them."
        filter      = "jsonPayload.event=\"run\" jsonPayload.states.${state}>=0"
        field       = "states.${state}"
        unit        = "1"
        labels      = []
        bounds      = [0, 1, 10, 100, 1000, 10000]
      }
    },
  )
}

resource "google_logging_metric" "counter" {
  for_each = local.counters

  project          = var.project_id
  name             = "${var.prefix}/${each.key}"
  description      = each.value.description
  filter           = "${local.log_source} ${each.value.filter}"
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.service]
}

resource "google_logging_metric" "distribution" {
  for_each = local.distributions

  project          = var.project_id
  name             = "${var.prefix}/${each.key}"
  description      = each.value.description
  filter           = "${local.log_source} ${each.value.filter}"
  value_extractor  = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }

  bucket_options {
    explicit_buckets {
      bounds = each.value.bounds
    }
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.service]
}
