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
  value       = var.status_iap == null ? local.function_url.status : "https://${var.status_iap.domain}"
}

output "status_address" {
  description = "IP address the domain of status_iap has to point at."
  value       = one(google_compute_global_address.status[*].address)
}

output "events_topic" {
  description = "Topic of the events, to subscribe to."
  value       = local.topic_id.events
}

output "refresh_topic" {
  description = "Topic that takes refresh requests."
  value       = local.topic_id.refresh
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

output "deployment" {
  description = "What modules/connection needs to declare a connection elsewhere."
  value       = local.deployment
}
