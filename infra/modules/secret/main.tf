# One secret, global or regional, and who may do what with it. Never a payload.

resource "google_secret_manager_secret" "secret" {
  count = var.location == null ? 1 : 0

  project             = var.project_id
  secret_id           = var.secret_id
  labels              = var.labels
  annotations         = var.annotations
  version_destroy_ttl = var.version_destroy_ttl
  deletion_protection = var.deletion_protection

  replication {
    dynamic "auto" {
      for_each = var.replica_location == null ? [true] : []
      content {
        dynamic "customer_managed_encryption" {
          for_each = var.kms_key == null ? [] : [var.kms_key]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
    dynamic "user_managed" {
      for_each = var.replica_location == null ? [] : [var.replica_location]
      content {
        replicas {
          location = user_managed.value
          dynamic "customer_managed_encryption" {
            for_each = var.kms_key == null ? [] : [var.kms_key]
            content {
              kms_key_name = customer_managed_encryption.value
            }
          }
        }
      }
    }
  }

  dynamic "topics" {
    for_each = var.topic == null ? [] : [var.topic]
    content {
      name = topics.value
    }
  }
}

resource "google_secret_manager_secret_iam_binding" "binding" {
  for_each = var.location == null ? local.iam : {}

  project   = var.project_id
  secret_id = google_secret_manager_secret.secret[0].secret_id
  role      = each.key
  members   = each.value
}

resource "google_secret_manager_regional_secret" "secret" {
  count = var.location == null ? 0 : 1

  project             = var.project_id
  location            = var.location
  secret_id           = var.secret_id
  labels              = var.labels
  annotations         = var.annotations
  version_destroy_ttl = var.version_destroy_ttl
  deletion_protection = var.deletion_protection

  dynamic "customer_managed_encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = customer_managed_encryption.value
    }
  }

  dynamic "topics" {
    for_each = var.topic == null ? [] : [var.topic]
    content {
      name = topics.value
    }
  }
}

resource "google_secret_manager_regional_secret_iam_binding" "binding" {
  for_each = var.location == null ? {} : local.iam

  project   = var.project_id
  location  = var.location
  secret_id = google_secret_manager_regional_secret.secret[0].secret_id
  role      = each.key
  members   = each.value
}

locals {
  iam = { for role, members in var.iam : role => members if length(members) > 0 }
}
