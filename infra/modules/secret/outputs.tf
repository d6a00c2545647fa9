output "id" {
  description = "Full name of the secret, by project id."
  value       = one(concat(google_secret_manager_secret.secret[*].id, google_secret_manager_regional_secret.secret[*].id))
}

output "secret_id" {
  description = "Id of the secret, once it exists."
  value       = one(concat(google_secret_manager_secret.secret[*].secret_id, google_secret_manager_regional_secret.secret[*].secret_id))
}

output "iam" {
  description = "Members by role, as bound."
  value       = { for binding in concat(values(google_secret_manager_secret_iam_binding.binding), values(google_secret_manager_regional_secret_iam_binding.binding)) : binding.role => binding.members }
}
