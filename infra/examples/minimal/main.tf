# A project and one connection.

variable "project_id" {
  description = "Project to deploy to."
  type        = string
}

module "token_refresh" {
  source = "../.."

  project_id = var.project_id
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
