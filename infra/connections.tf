locals {
  # What a connection declared elsewhere needs to know of this deployment: pass the output of this name to modules/connection.
  deployment = {
    project_id          = var.project_id
    location            = var.secret_location
    topic               = local.topic_id.refresh
    access_token_topic  = try(local.topic_id.access_tokens, null)
    refreshers          = local.refreshers
    consenters          = local.consenters
    notifiers           = local.notifiers
    viewers             = toset([local.member.status])
    operators           = var.operators
    roles               = { for key in ["annotator", "dater", "describer", "inspector", "versioner"] : key => local.role[key] }
    labels              = var.labels
    kms_key             = var.kms.secrets
    version_destroy_ttl = var.version_destroy_ttl
    deletion_protection = var.deletion_protection
  }
}

module "connection" {
  source   = "./modules/connection"
  for_each = var.connections

  deployment            = local.deployment
  name                  = each.key
  oauth_provider        = each.value.provider
  paused                = each.value.paused
  client                = each.value.client
  scopes                = each.value.scopes
  owner                 = each.value.owner
  title                 = each.value.title
  purpose               = each.value.purpose
  subject               = each.value.subject
  format                = each.value.format
  consent_warnings      = each.value.consent_warnings
  refresh_before_expiry = each.value.refresh_before_expiry
  variables             = each.value.variables
  consumers             = each.value.consumers
  deletion_protection   = each.value.deletion_protection

  depends_on = [time_sleep.iam]
}
