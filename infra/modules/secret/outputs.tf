output "id" {
  description = "Full name of the secret, by project id."
  value       = one(concat(google_secret_manager_secret.secret[*].id, google_secret_manager_regional_secret.secret[*].id))
}

output "secret_id" {
  description = "Id of the secret, once it exists."
  value       = one(concat(google_secret_manager_secret.secret[*].secret_id, google_secret_manager_regional_secret.secret[*].secret_id))
}

output "iam" {
  description = "Members by role, as the policy says."
  value = { for binding in jsondecode(one(concat(
    google_secret_manager_secret_iam_policy.policy[*].policy_data, google_secret_manager_regional_secret_iam_policy.policy[*].policy_data,
  ))).bindings : binding.role => binding.members }
}

output "deletion_protection" {
  description = "Whether the secret is protected from being destroyed."
  value       = one(concat(google_secret_manager_secret.secret[*].deletion_protection, google_secret_manager_regional_secret.secret[*].deletion_protection))
}
