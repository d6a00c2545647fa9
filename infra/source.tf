locals {
  source_root = "${path.module}/.."
  # An allow-list: what is not named here is not shipped.
  source_files = setunion(
    fileset(local.source_root, "main.py"),
    fileset(local.source_root, "requirements.txt"),
    [for name in fileset(local.source_root, "token_refresh/**") : name if !strcontains(name, "__pycache__")],
  )
  providers_file = "extra_providers.toml"

  source_bucket = coalesce(var.source_bucket, "${var.project_id}-${var.prefix}-source")
  # projects/P/locations/L/repositories/R, its own parts.
  registry = var.image_repository == null ? {
    project = var.project_id, location = var.region, name = var.prefix
    } : {
    project = split("/", var.image_repository)[1], location = split("/", var.image_repository)[3], name = split("/", var.image_repository)[5]
  }
  registry_host = "${local.registry.location}-docker.pkg.dev/${local.registry.project}/${local.registry.name}"
}

# All deployments of a configuration share path.module: the file carries project and prefix, or one would ship another's providers.
data "archive_file" "source" {
  type             = "zip"
  output_path      = "${path.module}/.terraform/${var.project_id}-${var.prefix}-source.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.source_files
    content {
      filename = source.value
      content  = file("${local.source_root}/${source.value}")
    }
  }

  dynamic "source" {
    for_each = var.providers_toml == null ? [] : [var.providers_toml]
    content {
      filename = local.providers_file
      content  = source.value
    }
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:It holds published source code and nothing else; an access log would need a second bucket.
  count = var.source_bucket == null ? 1 : 0

  project                     = var.project_id
  name                        = local.source_bucket
  location                    = var.region
  labels                      = var.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "encryption" {
    for_each = var.kms.regional == null ? [] : [var.kms.regional]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

# The digest in the name redeploys the functions when the source changes, and only then.
resource "google_storage_bucket_object" "source" {
  bucket         = var.source_bucket == null ? google_storage_bucket.source[0].name : var.source_bucket
  name           = "${var.prefix}/source-${data.archive_file.source.output_sha256}.zip"
  source         = data.archive_file.source.output_path
  source_md5hash = data.archive_file.source.output_md5
}

resource "google_storage_bucket_iam_binding" "source" {
  count = var.source_bucket == null ? 1 : 0

  bucket  = google_storage_bucket.source[0].name
  role    = "roles/storage.objectViewer"
  members = [local.member.build]
}

# What is yours keeps the grants that it has.
resource "google_storage_bucket_iam_member" "source" {
  count = var.source_bucket == null ? 0 : 1

  bucket = var.source_bucket
  role   = "roles/storage.objectViewer"
  member = local.member.build
}

resource "google_artifact_registry_repository" "images" {
  count = var.image_repository == null ? 1 : 0

  project       = var.project_id
  location      = var.region
  repository_id = var.prefix
  description   = "Images of the ${var.prefix} functions."
  format        = "DOCKER"
  labels        = var.labels
  kms_key_name  = var.kms.regional

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

resource "google_artifact_registry_repository_iam_binding" "images" {
  count = var.image_repository == null ? 1 : 0

  project    = var.project_id
  location   = google_artifact_registry_repository.images[0].location
  repository = google_artifact_registry_repository.images[0].repository_id
  role       = "roles/artifactregistry.writer"
  members    = [local.member.build]
}

resource "google_artifact_registry_repository_iam_member" "images" {
  for_each = var.image_repository == null ? {} : {
    "roles/artifactregistry.writer" = local.member.build
    "roles/artifactregistry.reader" = local.service_agent.run # in case it is another project's
  }

  project    = local.registry.project
  location   = local.registry.location
  repository = local.registry.name
  role       = each.key
  member     = each.value
}

resource "google_project_iam_member" "build_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = local.member.build
}
