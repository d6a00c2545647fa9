output "refresh_url" {
  description = "Address of refresh_http, for operators and for further triggers."
  value       = local.function_url.refresh_http
}

output "consent_url" {
  description = "Public base URL of the re-consent page; null where there is none."
  value       = local.consent_url
}

output "redirect_uri" {
  description = "To be registered as redirect URI with every provider's OAuth client."
  value       = local.consent_url == null ? null : "${local.consent_url}/callback"
}

output "status_url" {
  description = "Address of the status page."
  value       = local.function_url.status
}

output "token_url" {
  description = "Token URL for credential files; null where there is no token function."
  value       = local.token_url == null ? null : "${local.token_url}/token"
}

output "credential_files" {
  description = "By connection: the file for GOOGLE_APPLICATION_CREDENTIALS of a job on Google Cloud (`token-refresh credentials` writes one for a laptop). It holds no secret: who may use it is said by `consumers`."
  value = local.token_url == null ? {} : { for name, connection in module.connection : name => jsonencode({
    type               = "external_account"
    audience           = "//token-refresh/connections/${name}"
    subject_token_type = "urn:ietf:params:oauth:token-type:access_token"
    token_url          = "${local.token_url}/token"
    # The job's own token (https://google.aip.dev/auth/4117).
    credential_source = {
      url     = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
      headers = { "Metadata-Flavor" = "Google" }
      format  = { type = "json", subject_token_field_name = "access_token" }
    }
  }) if connection.format == "json" }
}

output "risc_url" {
  description = "Receiver of security event tokens, to be registered with the issuer; null where there is none."
  value       = try(local.function_url.risc, null)
}

output "events_topic" {
  description = "Topic of the events, to subscribe to."
  value       = local.topic_id.events
}

output "refresh_topic" {
  description = "Topic that takes refresh requests."
  value       = local.topic_id.refresh
}

output "access_token_topic" {
  description = "Topic that announces new access tokens; null where there is none."
  value       = try(local.topic_id.access_tokens, null)
}

output "connections" {
  description = "Secret ids by connection: where the grant goes and where the access token is."
  value = { for name, connection in module.connection : name => {
    connection_secret   = connection.connection_secret
    access_token_secret = connection.access_token_secret
  } }
}

output "clients" {
  description = "Secret ids of the OAuth client registrations, each waiting for a version by `gcloud secrets versions add`."
  value       = sort(local.clients)
}

output "service_accounts" {
  description = "Service accounts by entry point or caller."
  value       = local.email
}

output "settle_seconds" {
  description = "How long after a pause something may still be under way: a run that had begun, what it has sent, and a lease that was held."
  value       = ceil(local.run_seconds + 2 * var.settings.http_timeout + var.settings.lease_seconds)
}

output "deployment" {
  description = "What modules/connection needs to declare a connection elsewhere."
  value       = local.deployment
}
