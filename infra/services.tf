data "google_project" "project" {
  project_id = var.project_id
}

locals {
  services = toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])
  optional_services = toset(concat(
    var.status_iap == null ? [] : ["iap.googleapis.com"],
    local.cmek ? ["cloudkms.googleapis.com"] : [],
    var.vpc == null ? [] : ["compute.googleapis.com"],
    try(var.vpc.connector, null) == null ? [] : ["vpcaccess.googleapis.com"],
  ))

  service_agent = {
    for name, domain in {
      pubsub        = "gcp-sa-pubsub"
      secretmanager = "gcp-sa-secretmanager"
      iap           = "gcp-sa-iap"
      registry      = "gcp-sa-artifactregistry"
      run           = "serverless-robot-prod"
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
    local.cmek ? ["artifactregistry.googleapis.com", "run.googleapis.com"] : [],
  ))
  provider = google-beta

  project    = var.project_id
  service    = each.key
  depends_on = [google_project_service.service]
}

# IAM is eventually consistent. Without this pause an apply fails where Google tries a permission out at once: the build of the
# functions, and Secret Manager's publishing to the topic of a secret. Again whenever one of these grants is new.
resource "time_sleep" "iam" {
  create_duration = "60s"

  triggers = {
    build    = local.member.build
    topics   = join(" ", sort(values(local.topic_id)))
    agents   = join(" ", sort(keys(google_project_service_identity.agent)))
    kms      = join(" ", sort(values({ for key, grant in local.kms_grants : key => "${key}=${grant.key}" })))
    registry = local.registry.name
    bucket   = local.source_bucket
  }

  depends_on = [
    google_artifact_registry_repository_iam_binding.images,
    google_artifact_registry_repository_iam_member.images,
    google_kms_crypto_key_iam_member.agent,
    google_project_iam_member.build_logs,
    google_pubsub_topic_iam_binding.publisher,
    google_pubsub_topic_iam_member.publisher,
    google_storage_bucket_iam_binding.source,
    google_storage_bucket_iam_member.source,
  ]
}

# The label that makes a secret a connection counts for a whole project and location (contract 2): two deployments there would
# each refresh the other's connections. The name of this secret does not depend on `prefix`, so the second one cannot be made.
module "marker" {
  source = "./modules/secret"

  project_id = var.project_id
  secret_id  = "token-refresh-deployment"
  location   = var.secret_location
  labels     = merge(var.labels, { deployment = var.prefix })
  kms_key    = var.kms.secrets

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

# Who read which secret, in the Data Access log. The project's audit configuration for this service becomes ours.
resource "google_project_iam_audit_config" "secrets" {
  count = var.audit_secret_access ? 1 : 0

  project = var.project_id
  service = "secretmanager.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }
}
