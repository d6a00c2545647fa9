locals {
  # Entry point -> name. The refresh function carries the deployment's own name.
  function_names = merge(
    {
      refresh      = var.prefix
      refresh_http = "${var.prefix}-http"
      status       = "${var.prefix}-status"
    },
    var.consent == null ? {} : { consent = "${var.prefix}-consent" },
    var.notify_urls_version == 0 ? {} : { notify = "${var.prefix}-notify" },
  )
  service_account_names = merge(local.function_names, {
    scheduler = "${var.prefix}-scheduler"
    push      = "${var.prefix}-push"
    build     = "${var.prefix}-build"
  })
  service_account_purposes = {
    refresh      = "Runs the refresh function."
    refresh_http = "Runs the refresh_http function."
    consent      = "Runs the consent function."
    notify       = "Runs the notify function."
    status       = "Runs the status function."
    scheduler    = "Cloud Scheduler calls refresh_http as this account."
    push         = "Pub/Sub pushes to the functions as this account."
    build        = "Builds the functions' images."
  }

  # Known before apply, so that a plan shows who gets what.
  email  = { for key, account in google_service_account.account : key => "${account.account_id}@${account.project}.iam.gserviceaccount.com" }
  member = { for key, email in local.email : key => "serviceAccount:${email}" }

  refreshers = toset([local.member.refresh, local.member.refresh_http])
  consenters = var.consent == null ? toset([]) : toset([local.member.consent])
  notifiers  = var.notify_urls_version == 0 ? toset([]) : toset([local.member.notify])

  # Permissions no predefined role has alone. docs/security.md explains who needs which.
  custom_roles = {
    # In the project: what a list shows, one by one.
    lister = {
      title       = "Secret lister"
      permissions = ["secretmanager.secrets.get", "secretmanager.secrets.list"]
    }
    # On connection secrets.
    annotator = {
      title       = "Connection annotator"
      permissions = ["secretmanager.secrets.update"]
    }
    describer = {
      title       = "Connection describer"
      permissions = ["secretmanager.secrets.get"]
    }
    inspector = {
      title       = "Connection inspector"
      permissions = ["secretmanager.versions.get", "secretmanager.versions.list"]
    }
    # On connection secrets and on access-token secrets.
    versioner = {
      title       = "Secret versioner"
      permissions = ["secretmanager.versions.add", "secretmanager.versions.destroy", "secretmanager.versions.get", "secretmanager.versions.list"]
    }
  }
  role = { for key, role in google_project_iam_custom_role.role : key => "projects/${role.project}/roles/${role.role_id}" }
}

resource "google_service_account" "account" {
  for_each = local.service_account_names

  project      = var.project_id
  account_id   = each.value
  display_name = each.value
  description  = local.service_account_purposes[each.key]
  depends_on   = [google_project_service.service]
}

resource "google_project_iam_custom_role" "role" {
  for_each = local.custom_roles

  project     = var.project_id
  role_id     = "${replace(var.prefix, "-", "_")}_${each.key}"
  title       = "${var.prefix}: ${each.value.title}"
  permissions = each.value.permissions
  depends_on  = [google_project_service.service]
}

# Secret Manager can list only by project. A list shows names, labels and annotations, never a payload.
resource "google_project_iam_member" "lister" {
  for_each = toset(["refresh", "refresh_http", "status"])

  project = var.project_id
  role    = local.role.lister
  member  = local.member[each.key]
}
