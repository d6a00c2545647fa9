data "google_project" "project" {
  project_id = var.project_id
}

locals {
  services = toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
  ])
  optional_services = toset(concat(
    var.status_iap == null ? [] : ["compute.googleapis.com", "iap.googleapis.com"],
    local.cmek ? ["cloudkms.googleapis.com"] : [],
  ))

  service_agent = {
    for name, domain in {
      pubsub         = "gcp-sa-pubsub"
      secretmanager  = "gcp-sa-secretmanager"
      iap            = "gcp-sa-iap"
      registry       = "gcp-sa-artifactregistry"
      cloudfunctions = "gcf-admin-robot"
      run            = "serverless-robot-prod"
    } : name => "serviceAccount:service-${data.google_project.project.number}@${domain}.iam.gserviceaccount.com"
  }
}

resource "google_project_service" "service" {
  for_each = setunion(local.services, local.optional_services)

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}

# Google makes these agents on first use only, and a binding to one that is not there yet is refused.
resource "google_project_service_identity" "agent" {
  for_each = toset(concat(
    ["pubsub.googleapis.com", "secretmanager.googleapis.com"],
    var.status_iap == null ? [] : ["iap.googleapis.com"],
    local.cmek ? ["artifactregistry.googleapis.com", "cloudfunctions.googleapis.com", "run.googleapis.com"] : [],
  ))
  provider = google-beta

  project    = var.project_id
  service    = each.key
  depends_on = [google_project_service.service]
}

# IAM is eventually consistent. Without this pause the first apply fails where Google tries a permission out at once: the build
# of the functions, and Secret Manager's publishing to the topic of a secret.
resource "time_sleep" "iam" {
  create_duration = "60s"

  depends_on = [
    google_artifact_registry_repository_iam_binding.images,
    google_kms_crypto_key_iam_member.agent,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_source,
    google_pubsub_topic_iam_binding.refresh_publisher,
    google_storage_bucket_iam_binding.source,
  ]
}
