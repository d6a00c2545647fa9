# Cloud Run logs every request with its URL and referrer, and cannot be told to leave them out. On the consent page a URL holds
# a ticket or an authorization code, so these entries are dropped before they are stored (docs/security.md, Request logs).

locals {
  log_exclusions = merge(
    var.consent == null ? {} : {
      consent-requests = join(" ", [
        "log_id(\"run.googleapis.com/requests\")",
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=\"${local.function_names.consent}\"",
        "resource.labels.location=\"${var.region}\"",
      ])
    },
    # Whatever stands in front of an address of your own: each kind of load balancer has a log and a resource type of its own.
    try(var.consent.url, null) == null ? {} : {
      consent-address = "httpRequest.requestUrl:\"${trimprefix(var.consent.url, "https:")}/\""
    },
  )
}

# Of the sink _Default.
resource "google_logging_project_exclusion" "consent" {
  for_each = local.log_exclusions

  project     = var.project_id
  name        = "${var.prefix}-${each.key}"
  description = "URLs of the consent page hold tickets and authorization codes."
  filter      = each.value
  depends_on  = [google_project_service.service]
}
