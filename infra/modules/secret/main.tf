# One secret, global or regional, and its whole IAM policy: who is not listed may do nothing. Never a payload.

locals {
  # As JSON, not by the data source google_iam_policy: so a plan shows who gets what.
  policy = jsonencode({
    bindings = [for role in sort(keys(var.iam)) : { role = role, members = sort(tolist(var.iam[role])) } if length(var.iam[role]) > 0]
  })
}

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

resource "google_secret_manager_secret_iam_policy" "policy" {
  count = var.location == null ? 1 : 0

  project     = var.project_id
  secret_id   = google_secret_manager_secret.secret[0].secret_id
  policy_data = local.policy
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

resource "google_secret_manager_regional_secret_iam_policy" "policy" {
  count = var.location == null ? 0 : 1

  project     = var.project_id
  location    = var.location
  secret_id   = google_secret_manager_regional_secret.secret[0].secret_id
  policy_data = local.policy
}

# From 0.1: to destroy such a binding would take its role out of the policy that has replaced it.
removed {
  from = google_secret_manager_secret_iam_binding.binding
  lifecycle {
    destroy = false
  }
}

removed {
  from = google_secret_manager_regional_secret_iam_binding.binding
  lifecycle {
    destroy = false
  }
}
