# Customer-managed keys for everything at rest, in one region, built by a private pool, with accounts, topics, repository and
# bucket that a platform team has made beforehand.

variable "project_id" {
  description = "Project to deploy to."
  type        = string
}

locals {
  keys = "projects/${var.project_id}/locations/europe-west1/keyRings/token-refresh/cryptoKeys"
}

module "token_refresh" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"

  connections = {
    gmail-alice = {
      owner  = "alice@example.com"
      scopes = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"]
    }
  }

  secret_location = "europe-west1"
  kms             = { secrets = "${local.keys}/secrets", regional = "${local.keys}/functions" }

  build_worker_pool = "projects/${var.project_id}/locations/europe-west1/workerPools/private"
  image_repository  = "projects/${var.project_id}/locations/europe-west1/repositories/functions"
  source_bucket     = "${var.project_id}-sources"
  service_accounts = { for purpose in ["refresh_http", "status", "consent", "scheduler", "push", "build"] :
    purpose => "tr-${replace(purpose, "_", "-")}@${var.project_id}.iam.gserviceaccount.com"
  }
  topics = {
    refresh = "projects/${var.project_id}/topics/refresh-requests"
    events  = "projects/${var.project_id}/topics/integration-events"
  }
}

output "token_refresh" {
  description = "Addresses, topics and secret ids."
  value       = module.token_refresh
}
