locals {
  # The spec. The functions write their status beside it, under keys that never stand here, so an apply keeps it:
  # `annotations` covers the keys of the configuration only (docs/runbook.md, Change a connection).
  spec = {
    "token-refresh.client"                = var.client == "" ? null : var.client
    "token-refresh.format"                = var.format == "json" ? null : var.format
    "token-refresh.scopes"                = length(var.scopes) == 0 ? null : join(" ", var.scopes)
    "token-refresh.owner"                 = var.owner
    "token-refresh.title"                 = var.title
    "token-refresh.purpose"               = var.purpose
    "token-refresh.subject"               = var.subject
    "token-refresh.consent-warnings"      = var.consent_warnings
    "token-refresh.refresh-before-expiry" = var.refresh_before_expiry
    "token-refresh.variables"             = length(var.variables) == 0 ? null : jsonencode(var.variables)
  }
}

# The connection secret. Only `refreshers` and `consenters` read it; nobody else ever should.
module "grant" {
  source = "../secret"

  project_id          = var.deployment.project_id
  secret_id           = "${var.name}-refresh-token"
  location            = var.deployment.location
  kms_key             = var.deployment.kms_key
  topic               = var.deployment.topic
  version_destroy_ttl = var.deployment.version_destroy_ttl
  deletion_protection = coalesce(var.deletion_protection, var.deployment.deletion_protection)
  annotations         = { for key, value in local.spec : key => value if value != null }
  labels = merge(var.deployment.labels, {
    token-refresh          = var.paused ? "paused" : "enabled"
    token-refresh-provider = var.oauth_provider
  })

  iam = {
    "roles/secretmanager.secretAccessor"     = setunion(var.deployment.refreshers, var.deployment.consenters)
    "roles/secretmanager.secretVersionAdder" = setunion(var.deployment.consenters, var.deployment.operators)
    (var.deployment.roles.versioner)         = var.deployment.refreshers
    (var.deployment.roles.dater)             = var.deployment.refreshers
    (var.deployment.roles.annotator)         = setunion(var.deployment.refreshers, var.deployment.consenters, var.deployment.operators)
    (var.deployment.roles.describer)         = setunion(var.deployment.consenters, var.deployment.notifiers)
    (var.deployment.roles.inspector)         = var.deployment.viewers
  }
}

# Made anew within the hour, so neither protected nor delayed: a destroyed version is free only once it is gone.
module "access_token" {
  source = "../secret"

  project_id = var.deployment.project_id
  secret_id  = "${var.name}-access-token"
  location   = var.deployment.location
  kms_key    = var.deployment.kms_key
  topic      = var.deployment.access_token_topic
  labels     = var.deployment.labels

  iam = {
    "roles/secretmanager.secretAccessor" = setunion(var.deployment.refreshers, var.deployment.viewers, var.consumers)
    (var.deployment.roles.versioner)     = var.deployment.refreshers
    # The page after a consent says when the first token has come; it never reads one.
    (var.deployment.roles.inspector) = setunion(var.deployment.consenters, var.deployment.viewers)
  }
}
