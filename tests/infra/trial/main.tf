# A deployment whose connections are a variable, for tests that change it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.31, < 8"
    }
  }
}

variable "connections" {
  description = "As the module takes them."
  type        = any
}

variable "settings" {
  description = "Everything else that a test changes."
  type        = any
  default     = {}
}

module "token_refresh" {
  source = "../../../infra"

  project_id          = "example-project"
  connections         = var.connections
  operators           = try(var.settings.operators, [])
  secret_location     = try(var.settings.secret_location, null)
  signing_key_version = try(var.settings.signing_key_version, 1)
  notify_urls_version = try(var.settings.notify_urls_version, 0)
  deletion_protection = try(var.settings.deletion_protection, true)
}
