output "connection_secret" {
  description = "Id of the secret that holds the grant."
  value       = module.grant.secret_id
}

output "access_token_secret" {
  description = "Id of the secret that holds the access token."
  value       = module.access_token.secret_id
}

output "iam" {
  description = "Members by role, on the connection secret and on the access-token secret."
  value       = { connection_secret = module.grant.iam, access_token_secret = module.access_token.iam }
}

output "format" {
  description = "Form of the access-token secret."
  value       = var.format
}

output "deletion_protection" {
  description = "Whether the grant is protected from being destroyed."
  value       = module.grant.deletion_protection
}
