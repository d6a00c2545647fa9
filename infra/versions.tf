terraform {
  # 1.11 has write-only arguments: the signing key stays out of the state.
  required_version = ">= 1.11"

  required_providers {
    # One major. 7.31 is the first that this configuration was validated against, 7.46 the last.
    google = {
      source  = "hashicorp/google"
      version = ">= 7.31, < 8"
    }
    # Only for google_project_service_identity, which the main provider lacks. Give it the credentials of `google`.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 7.31, < 8"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4, < 3"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7, < 4"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.11, < 1"
    }
  }
}
