# Every option once: several providers, regional secrets, customer-managed keys, VPC egress, IAP, notifications, alerts.

variable "project_id" {
  description = "Project to deploy to."
  type        = string
}

variable "notify_urls" {
  description = "Apprise URLs; give them by TF_VAR_notify_urls."
  type        = list(string)
  ephemeral   = true
  sensitive   = true
}

locals {
  keys = "projects/${var.project_id}/locations/europe-west1/keyRings/token-refresh/cryptoKeys"
}

module "token_refresh" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"
  labels     = { team = "integrations" }

  connections = {
    gmail-alice = {
      owner     = "alice@example.com"
      scopes    = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"]
      consumers = ["serviceAccount:mail-report@${var.project_id}.iam.gserviceaccount.com"]
    }
    xero-acme = {
      provider  = "xero"
      owner     = "books@example.com"
      scopes    = ["offline_access", "accounting.transactions"]
      format    = "text"
      consumers = ["serviceAccount:ledger@${var.project_id}.iam.gserviceaccount.com"]
    }
    directory-sync = {
      client                = ""
      scopes                = ["https://www.googleapis.com/auth/admin.directory.user.readonly"]
      owner                 = "admin@example.com"
      refresh_before_expiry = 600
    }
    shop-old = {
      provider  = "shopware"
      paused    = true
      variables = { shop = "acme" }
    }
  }

  providers_toml = file("${path.module}/providers.toml")
  settings       = { confirm_after = 120 }

  notify_urls         = var.notify_urls
  notify_urls_version = 1

  operators = ["group:operators@example.com"]
  status_iap = {
    domain  = "tokens.example.com"
    members = ["group:operators@example.com"]
  }

  secret_location     = "europe-west1"
  version_destroy_ttl = "86400s"
  kms                 = { secrets = "${local.keys}/secrets", regional = "${local.keys}/functions" }
  vpc_egress          = { connector = "projects/${var.project_id}/locations/europe-west1/connectors/egress" }

  alert_emails = ["oncall@example.com"]
  runbook_url  = "https://wiki.example.com/token-refresh/runbook"
}

# A connection declared on its own, as another team's configuration would.
module "calendar_bob" {
  source = "../../modules/connection"

  deployment = module.token_refresh.deployment
  name       = "calendar-bob"
  owner      = "bob@example.com"
  scopes     = ["openid", "email", "https://www.googleapis.com/auth/calendar.readonly"]
}

output "token_refresh" {
  description = "Addresses, topics and secret ids."
  value       = module.token_refresh
}
