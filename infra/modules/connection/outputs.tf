output "connection_secret" {
  description = "Id of the secret that holds the grant."
  value       = module.grant.secret_id
}

output "access_token_secret" {
  description = "Id of the secret that holds the access token."
  value       = module.access_token.secret_id
}
