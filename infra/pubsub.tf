locals {
  # Known before apply, unlike the resource's id.
  topic_id = { for key, topic in { refresh = google_pubsub_topic.refresh, events = google_pubsub_topic.events } : key => "projects/${topic.project}/topics/${topic.name}" }
}

resource "google_pubsub_topic" "refresh" {
  project      = var.project_id
  name         = var.prefix
  labels       = var.labels
  kms_key_name = var.kms.regional

  dynamic "message_storage_policy" {
    for_each = var.secret_location == null ? [] : [var.secret_location]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

# Protocol Buffers, not Avro: plain JSON with absent fields is valid, and only so can the data be read without our schema.
resource "google_pubsub_schema" "event" {
  project    = var.project_id
  name       = "${var.prefix}-event"
  type       = "PROTOCOL_BUFFER"
  definition = file("${path.module}/event.proto")
  depends_on = [google_project_service.service]
}

resource "google_pubsub_topic" "events" {
  project      = var.project_id
  name         = "${var.prefix}-events"
  labels       = var.labels
  kms_key_name = var.kms.regional

  schema_settings {
    schema   = google_pubsub_schema.event.id
    encoding = "JSON"
  }

  dynamic "message_storage_policy" {
    for_each = var.secret_location == null ? [] : [var.secret_location]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic" "dead_letters" {
  for_each = { refresh = google_pubsub_topic.refresh.name, events = google_pubsub_topic.events.name }

  project      = var.project_id
  name         = "${each.value}-dead-letters"
  labels       = var.labels
  kms_key_name = var.kms.regional

  dynamic "message_storage_policy" {
    for_each = var.secret_location == null ? [] : [var.secret_location]
    content {
      allowed_persistence_regions = [message_storage_policy.value]
    }
  }
}

# Secret Manager tells of new versions; the refresh functions fan out; consent and status page ask for one refresh.
resource "google_pubsub_topic_iam_binding" "refresh_publisher" {
  project    = var.project_id
  topic      = google_pubsub_topic.refresh.name
  role       = "roles/pubsub.publisher"
  members    = setunion(local.refreshers, local.consenters, [local.member.status, local.service_agent.secretmanager])
  depends_on = [google_project_service_identity.agent]
}

resource "google_pubsub_topic_iam_binding" "events_publisher" {
  project = var.project_id
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  members = setunion(local.refreshers, local.consenters)
}

resource "google_pubsub_topic_iam_binding" "dead_letters_publisher" {
  for_each = google_pubsub_topic.dead_letters

  project    = var.project_id
  topic      = each.value.name
  role       = "roles/pubsub.publisher"
  members    = [local.service_agent.pubsub]
  depends_on = [google_project_service_identity.agent]
}
