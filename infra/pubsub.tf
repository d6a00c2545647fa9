locals {
  # Known before apply, unlike the resource's id. Yours, or ours.
  topic_id = merge(
    { for key, topic in google_pubsub_topic.topic : key => "projects/${topic.project}/topics/${topic.name}" },
    { for key, name in var.topics : key => name if name != null },
  )
  # Key -> name, of the topics that this configuration makes.
  topic_names = { for key, name in {
    refresh       = var.topics.refresh == null ? var.prefix : null
    events        = var.topics.events == null ? "${var.prefix}-events" : null
    access_tokens = var.access_token_topic && var.topics.access_tokens == null ? "${var.prefix}-access-tokens" : null
  } : key => name if name != null }

  # Secret Manager tells of new versions; consent, status and risc ask for a refresh, and so do operators.
  publishers = merge(
    {
      refresh = setunion(local.consenters, var.operators, compact([local.member.status, try(local.member.risc, ""), local.service_agent.secretmanager]))
      events  = setunion(local.refreshers, local.consenters, var.operators) # operators publish dead letters again
    },
    var.access_token_topic ? { access_tokens = toset([local.service_agent.secretmanager]) } : {},
  )
}

resource "google_pubsub_topic" "topic" {
  for_each = local.topic_names

  project      = var.project_id
  name         = each.value
  labels       = var.labels
  kms_key_name = var.kms.regional

  dynamic "schema_settings" {
    for_each = each.key == "events" ? [google_pubsub_schema.event.id] : []
    content {
      schema   = schema_settings.value
      encoding = "JSON"
    }
  }

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

resource "google_pubsub_topic" "dead_letters" {
  for_each = { refresh = var.prefix, events = "${var.prefix}-events" }

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

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_binding" "publisher" {
  for_each = google_pubsub_topic.topic

  project    = var.project_id
  topic      = each.value.name
  role       = "roles/pubsub.publisher"
  members    = local.publishers[each.key]
  depends_on = [google_project_service_identity.agent]
}

# What is yours keeps the grants that it has.
resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([for key, members in local.publishers : var.topics[key] == null ? {} : {
    for member in members : "${key} ${member}" => { topic = var.topics[key], member = member }
  }]...)

  project    = split("/", each.value.topic)[1]
  topic      = split("/", each.value.topic)[3]
  role       = "roles/pubsub.publisher"
  member     = each.value.member
  depends_on = [google_project_service_identity.agent]
}

resource "google_pubsub_topic_iam_binding" "dead_letters_publisher" {
  for_each = google_pubsub_topic.dead_letters

  project    = var.project_id
  topic      = each.value.name
  role       = "roles/pubsub.publisher"
  members    = [local.service_agent.pubsub]
  depends_on = [google_project_service_identity.agent]
}
