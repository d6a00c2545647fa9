locals {
  cmek = var.kms.secrets != null || var.kms.regional != null

  # Which Google agent uses which key (cloud.google.com/run/docs/securing/using-cmek; Cloud Functions and Eventarc have no part
  # in Cloud Run services). The storage agent answers to its own name, see the data source.
  kms_grants = merge(
    var.kms.secrets == null ? {} : { "secrets/secretmanager" = { key = var.kms.secrets, agent = "secretmanager" } },
    var.kms.regional == null ? {} : {
      # What Cloud Run reads is kept in the region, under the regional key, as soon as secrets are regional.
      for agent in concat(["pubsub", "registry", "run", "storage"], var.secret_location == null ? [] : ["secretmanager"]) :
      "regional/${agent}" => { key = var.kms.regional, agent = agent }
    },
  )
}

data "google_storage_project_service_account" "agent" {
  count = var.kms.regional == null ? 0 : 1

  project    = var.project_id
  depends_on = [google_project_service.service]
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.kms_grants

  crypto_key_id = each.value.key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value.agent == "storage" ? one(data.google_storage_project_service_account.agent[*].member) : local.service_agent[each.value.agent]
  depends_on    = [google_project_service_identity.agent]
}
