locals {
  function_url = { for key, function in google_cloud_run_v2_service.function : key => function.uri }

  # Our own push subscriptions: Eventarc's would have an acknowledgement deadline of 10 s.
  subscriptions = merge(
    {
      # Requests and Secret Manager's notifications. Those of our own lease and status writes (SECRET_UPDATE) are not even delivered.
      refresh = {
        name     = var.prefix
        topic    = local.topic_id["refresh"]
        function = "refresh_http"
        filter   = "(NOT attributes:eventType) OR (attributes.eventType = \"SECRET_VERSION_ADD\") OR (attributes.eventType = \"SECRET_ROTATE\")"
        unwrap   = false
        ordered  = false
        letters  = "refresh"
        attempts = 10 # 40 minutes: by then the tick has done what was asked
      }
    },
    var.notify_urls_version == 0 ? {} : {
      # Unwrapped, the ce-* attributes arrive as the headers of a binary CloudEvent.
      notify = {
        name     = "${var.prefix}-events-notify"
        topic    = local.topic_id["events"]
        function = "notify"
        filter   = null
        unwrap   = true
        ordered  = true
        letters  = "events"
        attempts = 100 # 16 hours, a mail server's night: Pub/Sub allows no more
      }
      # Then it waits for nobody any more, and goes on for a day: an owner who is still refused 24 hours after the event is told to the operators.
      notify_late = {
        name     = "${var.prefix}-events-notify-late"
        topic    = "projects/${var.project_id}/topics/${google_pubsub_topic.dead_letters["events"].name}"
        function = "notify"
        filter   = null
        unwrap   = true
        ordered  = false
        letters  = null
        attempts = null
      }
    },
  )
}

resource "google_pubsub_subscription" "push" {
  for_each = local.subscriptions

  project                    = var.project_id
  name                       = each.value.name
  topic                      = each.value.topic
  labels                     = var.labels
  filter                     = each.value.filter
  ack_deadline_seconds       = 600
  message_retention_duration = "86400s"
  enable_message_ordering    = each.value.ordered

  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.letters == null ? [] : [each.value.letters]
    content {
      dead_letter_topic     = google_pubsub_topic.dead_letters[dead_letter_policy.value].id
      max_delivery_attempts = each.value.attempts
    }
  }

  push_config {
    push_endpoint = local.function_url[each.value.function]

    oidc_token {
      service_account_email = local.email.push
      audience              = local.function_url[each.value.function]
    }

    dynamic "no_wrapper" {
      for_each = each.value.unwrap ? [true] : []
      content {
        write_metadata = true
      }
    }
  }

  depends_on = [google_service_account_iam_binding.push_token, google_service_account_iam_member.push_token]
}

resource "google_pubsub_subscription" "dead_letters" {
  for_each = google_pubsub_topic.dead_letters

  project                    = var.project_id
  name                       = each.value.name
  topic                      = each.value.id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "1209600s"

  expiration_policy {
    ttl = ""
  }
}

# To forward a message to the dead letters, Pub/Sub takes it off the subscription itself.
resource "google_pubsub_subscription_iam_binding" "dead_letter_forwarder" {
  for_each = { for key, subscription in google_pubsub_subscription.push : key => subscription if local.subscriptions[key].letters != null }

  project      = var.project_id
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  members      = [local.service_agent.pubsub]
  depends_on   = [google_project_service_identity.agent]
}

resource "google_pubsub_subscription_iam_binding" "dead_letters_operators" {
  for_each = { for key, subscription in google_pubsub_subscription.dead_letters : key => subscription if length(var.operators) > 0 }

  project      = var.project_id
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  members      = var.operators
}

# Pub/Sub signs its pushes as this account: ID tokens only, not access tokens.
resource "google_service_account_iam_binding" "push_token" {
  count = contains(keys(var.service_accounts), "push") ? 0 : 1

  service_account_id = google_service_account.account["push"].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = [local.service_agent.pubsub]
  depends_on         = [google_project_service_identity.agent]
}

resource "google_service_account_iam_member" "push_token" {
  count = contains(keys(var.service_accounts), "push") ? 1 : 0

  service_account_id = "projects/-/serviceAccounts/${var.service_accounts.push}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.service_agent.pubsub
  depends_on         = [google_project_service_identity.agent]
}
