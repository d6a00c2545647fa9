# Every grant, read back from the resources that make it. The tests hold it against the table in docs/security.md.

locals {
  secret_grants = concat(
    [for connection in module.connection : { on = "connection secrets", iam = connection.iam.connection_secret }],
    [for connection in module.connection : { on = "access-token secrets", iam = connection.iam.access_token_secret }],
    [for client in module.client : { on = "client registrations", iam = client.iam }],
    [for secret in module.signing_key : { on = "signing key", iam = secret.iam }],
    [{ on = "notify URLs", iam = module.notify_urls.iam }],
  )

  bindings = concat(
    flatten([for grant in local.secret_grants : [for role, members in grant.iam : { on = grant.on, role = role, members = members }]]),
    flatten([for key, policy in google_cloud_run_v2_service_iam_policy.invoker : [
      for binding in jsondecode(policy.policy_data).bindings : { on = "function ${key}", role = binding.role, members = binding.members }
    ]]),
    [for key, binding in google_pubsub_topic_iam_binding.publisher : { on = "topic ${replace(key, "_", " ")}", role = binding.role, members = binding.members }],
    [for key, grant in google_pubsub_topic_iam_member.publisher : { on = "topic ${replace(split(" ", key)[0], "_", " ")}", role = grant.role, members = [grant.member] }],
    [for binding in google_pubsub_topic_iam_binding.dead_letters_publisher : { on = "dead-letter topics", role = binding.role, members = binding.members }],
    [for binding in google_pubsub_subscription_iam_binding.dead_letter_forwarder : { on = "push subscriptions", role = binding.role, members = binding.members }],
    [for binding in google_pubsub_subscription_iam_binding.dead_letters_operators : { on = "dead-letter subscriptions", role = binding.role, members = binding.members }],
    [for binding in google_service_account_iam_binding.push_token : { on = "service account push", role = binding.role, members = binding.members }],
    [for grant in google_service_account_iam_member.push_token : { on = "service account push", role = grant.role, members = [grant.member] }],
    [for binding in google_storage_bucket_iam_binding.source : { on = "source bucket", role = binding.role, members = binding.members }],
    [for grant in google_storage_bucket_iam_member.source : { on = "source bucket", role = grant.role, members = [grant.member] }],
    [for binding in google_artifact_registry_repository_iam_binding.images : { on = "images", role = binding.role, members = binding.members }],
    [for grant in google_artifact_registry_repository_iam_member.images : { on = "images", role = grant.role, members = [grant.member] }],
    [for binding in google_iap_web_cloud_run_service_iam_binding.status : { on = "status page behind IAP", role = binding.role, members = binding.members }],
    [for grant in google_project_iam_member.lister : { on = "project", role = grant.role, members = [grant.member] }],
    [for grant in google_project_iam_member.operator : { on = "project", role = grant.role, members = [grant.member] }],
    [for grant in [google_project_iam_member.build_logs] : { on = "project", role = grant.role, members = [grant.member] }],
    [for grant in google_kms_crypto_key_iam_member.agent : { on = "your keys", role = grant.role, members = [grant.member] }],
  )
}

output "iam" {
  description = "Every grant this configuration makes: who (`member`) has which `role` `on` what. What is public by a switched-off invoker check has no grant: see `public_access`."
  value = toset(flatten([
    for binding in local.bindings : [for member in binding.members : { on = binding.on, role = binding.role, member = member }]
  ]))
}
