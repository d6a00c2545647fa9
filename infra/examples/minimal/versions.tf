terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.43, < 9"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = "europe-west1"
}
