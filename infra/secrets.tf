locals {
  # What the connections name, and what is asked for besides.
  clients = setunion(var.clients, compact([
    for connection in var.connections : connection.client == null ? "oauth-client-${connection.provider}" : connection.client
  ]))

  # What Cloud Run reads for the functions cannot be a regional secret: a global one is kept in the region instead.
  environment_secret_kms_key = var.secret_location == null ? var.kms.secrets : var.kms.regional
}

# Containers only: `gcloud secrets versions add oauth-client-google --data-file=client_secret.json` puts the registration in.
module "client" {
  source   = "./modules/secret"
  for_each = local.clients

  project_id          = var.project_id
  secret_id           = each.key
  location            = var.secret_location
  labels              = var.labels
  kms_key             = var.kms.secrets
  deletion_protection = var.deletion_protection && !contains(var.unprotected_clients, each.key)
  iam = {
    "roles/secretmanager.secretAccessor"     = setunion(local.refreshers, local.consenters)
    "roles/secretmanager.secretVersionAdder" = var.operators
    (local.role.describer)                   = local.consenters
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

module "signing_key" {
  source = "./modules/secret"
  count  = var.consent == null ? 0 : 1

  project_id       = var.project_id
  secret_id        = "${var.prefix}-signing-key"
  replica_location = var.secret_location
  labels           = var.labels
  kms_key          = local.environment_secret_kms_key
  iam              = { "roles/secretmanager.secretAccessor" = [for key in local.signers : local.member[key]] }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

ephemeral "random_password" "signing_key" {
  length  = 64
  special = false
}

# Version 1. Write-only: the key goes to Secret Manager and nowhere else, neither plan nor state. It is never replaced: a new key
# is a further version, added by gcloud with the old one as its second line, and then `signing_key_version` (docs/runbook.md).
resource "google_secret_manager_secret_version" "signing_key" {
  count = var.consent == null ? 0 : 1

  secret                 = module.signing_key[0].id
  secret_data_wo         = ephemeral.random_password.signing_key.result
  secret_data_wo_version = 1
  deletion_policy        = "ABANDON"

  # In 0.1 this number made new keys. To set it back would replace the version, and so destroy the key that is in use.
  lifecycle {
    ignore_changes = [secret_data_wo_version]
  }
}

# A container, made also before there is a notify function. Its versions come by gcloud, and `notify_urls_version` names the one
# in use: plan, state and CI never hold a URL, and the version in use stays readable while the next one is deployed.
module "notify_urls" {
  source = "./modules/secret"

  project_id       = var.project_id
  secret_id        = "${var.prefix}-notify-urls"
  replica_location = var.secret_location
  labels           = var.labels
  kms_key          = local.environment_secret_kms_key
  iam = {
    "roles/secretmanager.secretAccessor"     = local.notifiers
    "roles/secretmanager.secretVersionAdder" = var.operators
  }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}
