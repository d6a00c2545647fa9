# A project and one connection.

variable "project_id" {
  description = "Project to deploy to."
  type        = string
}

variable "region" {
  description = "Where the functions run."
  type        = string
  default     = "europe-west1"
}

module "token_refresh" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  connections = {
    gmail-alice = {
      owner  = "alice@example.com"
      scopes = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"]
    }
  }
}

output "token_refresh" {
  description = "Addresses, topics and secret ids."
  value       = module.token_refresh
}
