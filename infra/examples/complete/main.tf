# Nearly every option once: several providers, regional secrets, VPC egress, IAP, notifications, token, risc, alerts.
# Keys of your own: ../cmek. Several projects: ../shards.

variable "project_id" {
  description = "Project to deploy to."
  type        = string
}

variable "notify_urls_version" {
  description = "Version of the secret token-refresh-notify-urls; 0 until there is one."
  type        = number
  default     = 1
}

module "token_refresh" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"
  labels     = { team = "integrations" }

  connections = {
    gmail-alice = {
      owner     = "alice@example.com"
      title     = "Mail report"
      purpose   = "Counts the messages of the support mailbox every night."
      scopes    = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"]
      consumers = ["serviceAccount:mail-report@${var.project_id}.iam.gserviceaccount.com"]
    }
    xero-acme = {
      provider         = "xero"
      owner            = "books@example.com"
      scopes           = ["offline_access", "accounting.transactions"]
      format           = "text"
      consent_warnings = "14d,3d"
      consumers        = ["serviceAccount:ledger@${var.project_id}.iam.gserviceaccount.com"]
    }
    directory-sync = {
      client                = ""
      scopes                = ["https://www.googleapis.com/auth/admin.directory.user.readonly"]
      owner                 = "admin@example.com"
      refresh_before_expiry = 600
    }
    shop-old = {
      provider            = "shopware"
      paused              = true
      variables           = { shop = "acme" }
      deletion_protection = false
    }
  }

  providers_toml = file("${path.module}/providers.toml")
  settings       = { consent_name = "Integrations, Example Ltd.", consent_contact = "integrations@example.com" }

  notify_urls_version = var.notify_urls_version
  access_token_topic  = true
  token               = {}
  risc                = { audiences = ["1234567890-abc.apps.googleusercontent.com"] }

  operators  = ["group:operators@example.com"]
  status_iap = { members = ["group:operators@example.com"] }

  secret_location     = "europe-west1"
  version_destroy_ttl = "86400s"
  audit_secret_access = true
  vpc                 = { network = "egress", subnetwork = "egress-europe-west1", tags = ["token-refresh"] }

  alert_emails = ["oncall@example.com"]
  runbook_url  = "https://wiki.example.com/token-refresh/runbook"
}

# A connection declared on its own, as another team's configuration would. Its client is declared with the deployment.
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
