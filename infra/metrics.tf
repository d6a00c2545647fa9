# Metrics from the functions' log lines (docs/runbook.md, Log lines). Labels never name a connection.

locals {
  log_source = join(" ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [for name in sort(values(local.function_names)) : "\"${name}\""])})",
  ])
  connection_labels = ["outcome", "reason", "provider"]
  states            = ["healthy", "suspect", "needs_consent", "rejected", "unavailable", "misconfigured"]

  # A provider's own error code may become a reason, and a provider may invent as many as it likes: what is not known here is
  # counted under the empty label. Those of the code; a test compares.
  known_reasons = [
    # docs/events/README.md
    "access_denied", "admin_policy_enforced", "clock_skew", "consent_expiring", "deleted_client", "disabled_client", "disabled_key",
    "idle_expiry", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "lost_rotation", "mass_invalid_grant",
    "misconfigured", "never_consented", "org_internal", "reauth_required", "refresh_failing", "refresh_token_reused", "revoked_by_operator",
    "revoked_or_expired", "testing_mode_expiry", "unauthorized_client", "unknown_account", "unknown_subject", "unsupported_grant_type",
    # outcomes that no event tells of
    "confirm", "due", "forced", "in_progress", "internal_error", "lease_held", "lease_too_short", "newer_client", "newer_version",
    "no_access_token", "not_due", "not_sent", "paused", "probe", "rate_limited", "recheck", "refreshed", "refreshed_elsewhere", "reply_lost",
    "reply_too_large", "revoke", "rotated_token_not_saved", "run_seconds", "saved_late", "secret_manager", "unreadable_reply",
  ]
  label_extractors = {
    reason = "REGEXP_EXTRACT(jsonPayload.reason, \"^(${join("|", local.known_reasons)})$\")"
  }

  # A run over all connections.
  whole_run = "jsonPayload.event=\"run\" jsonPayload.is_whole=true"

  counters = {
    connections = {
      description = "Connections handled by a run, by outcome."
      filter      = "jsonPayload.event=\"connection\""
      labels      = local.connection_labels
    }
    deaths = {
      description = "Grants found dead: each once. Those that nobody has consented to yet are not among them."
      filter      = "jsonPayload.event=\"published\" jsonPayload.type=\"invalid_grant\" NOT jsonPayload.reason=\"never_consented\""
      labels      = ["reason"]
    }
    consents_overdue = {
      description = "Connections whose owner has not consented for a day, three days, and each further week."
      filter      = "jsonPayload.event=\"published\" jsonPayload.type=\"consent_overdue\""
      labels      = []
    }
    runs = {
      description = "Runs over all connections that were carried out."
      filter      = "${local.whole_run} jsonPayload.is_carried_out=true"
      labels      = []
    }
    runs_short_of_life = {
      description = "Runs that left an access token with less than ${var.alert_seconds_left} s to live."
      filter      = "${local.whole_run} jsonPayload.least_seconds_left<${var.alert_seconds_left}"
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
        filter      = "${local.whole_run} jsonPayload.least_seconds_left>=0"
        field       = "least_seconds_left"
        unit        = "s"
        labels      = []
        bounds      = [0, 60, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 14400, 28800, 86400]
      }
      promised_percent = {
        description = "Share of the connections, after a run, whose access token has the promised life; without those that wait for their owner."
        filter      = "${local.whole_run} jsonPayload.promised_percent>=0"
        field       = "promised_percent"
        unit        = "%"
        labels      = []
        bounds      = [0, 50, 75, 90, 95, 98, 99, 99.9, 100]
      }
      run_duration = {
        description = "Duration of runs."
        filter      = "jsonPayload.event=\"run\""
        field       = "duration_seconds"
        unit        = "s"
        labels      = []
        bounds      = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 480]
      }
      deferred = {
        description = "Connections that were due and left for the next run."
        filter      = "${local.whole_run} jsonPayload.deferred>=0"
        field       = "deferred"
        unit        = "1"
        labels      = []
        bounds      = [0, 1, 10, 100, 1000, 10000]
      }
    },
    # A log-based metric cannot be a gauge: the mean of what the runs saw stands in for it.
    {
      for state in local.states : "state_${state}" => {
        description = "Connections in state ${state}, as each full run sees them."
        filter      = "${local.whole_run} jsonPayload.states.${state}>=0"
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
  label_extractors = { for label in each.value.labels : label => lookup(local.label_extractors, label, "EXTRACT(jsonPayload.${label})") }

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
