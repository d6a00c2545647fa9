# A provider that takes a token of a connection, without the token ever being in state or plan.
#
# It is read once a run: a run that is longer than the margin (ten minutes at least) may see a 401; run it again. With a
# saved plan the token is read at apply once more, so plan and apply may lie hours apart.
terraform {
  required_version = ">= 1.10" # ephemeral resources

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.14"
    }
  }
}

variable "project" {
  description = "The project that holds the secrets."
  type        = string
}

provider "google" {
  project = var.project
}

# The account that runs Terraform needs roles/secretmanager.secretAccessor on the secret.
ephemeral "google_secret_manager_secret_version" "alice" {
  secret = "cloud-alice-access-token"
}

provider "google" {
  alias        = "as_alice"
  access_token = jsondecode(ephemeral.google_secret_manager_secret_version.alice.secret_data).access_token
}

data "google_projects" "of_alice" {
  provider = google.as_alice
  filter   = "lifecycleState:ACTIVE"
}

output "projects_of_alice" {
  description = "What Alice sees."
  value       = [for project in data.google_projects.of_alice.projects : project.project_id]
}
