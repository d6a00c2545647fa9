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
  deletion_protection = var.deletion_protection
  iam = {
    "roles/secretmanager.secretAccessor" = setunion(local.refreshers, local.consenters)
    (local.role.describer)               = local.consenters
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

# Write-only: the key goes to Secret Manager and nowhere else, neither plan nor state.
resource "google_secret_manager_secret_version" "signing_key" {
  count = var.consent == null ? 0 : 1

  secret                 = module.signing_key[0].id
  secret_data_wo         = ephemeral.random_password.signing_key.result
  secret_data_wo_version = var.signing_key_version
}

module "notify_urls" {
  source = "./modules/secret"
  count  = var.notify_urls_version == 0 ? 0 : 1

  project_id       = var.project_id
  secret_id        = "${var.prefix}-notify-urls"
  replica_location = var.secret_location
  labels           = var.labels
  kms_key          = local.environment_secret_kms_key
  iam              = { "roles/secretmanager.secretAccessor" = [local.member.notify] }

  depends_on = [google_project_service.service, google_kms_crypto_key_iam_member.agent]
}

resource "google_secret_manager_secret_version" "notify_urls" {
  count = var.notify_urls_version == 0 ? 0 : 1

  secret                 = module.notify_urls[0].id
  secret_data_wo         = join("\n", var.notify_urls)
  secret_data_wo_version = var.notify_urls_version
}
