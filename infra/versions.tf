terraform {
  # 1.11 has write-only arguments: the signing key and the notification URLs stay out of the state.
  required_version = ">= 1.11"

  required_providers {
    # 6.43 is the first with everything used here: write-only payloads (6.23) and deletion protection of secrets.
    google = {
      source  = "hashicorp/google"
      version = ">= 6.43, < 9"
    }
    # Only for google_project_service_identity, which the main provider lacks.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 6.43, < 9"
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
