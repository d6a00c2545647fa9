terraform {
  required_version = ">= 1.11"

  # Exactly these, so that a build a year from now makes the same plan. Raise them together, and keep .terraform.lock.hcl, which
  # `terraform init` writes, beside your own configuration.
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "7.46.1"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "7.46.1"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

# For the service agents alone. Whatever `google` is given (impersonation, user_project_override), this one needs, too.
provider "google-beta" {
  project = var.project_id
  region  = var.region
}
