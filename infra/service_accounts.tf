locals {
  # Entry point -> service name.
  function_names = { for key, name in {
    refresh_http = "${var.prefix}-http"
    status       = "${var.prefix}-status"
    consent      = var.consent == null ? null : "${var.prefix}-consent"
    notify       = var.notify_urls_version == 0 ? null : "${var.prefix}-notify"
    token        = var.token == null ? null : "${var.prefix}-token"
    risc         = var.risc == null ? null : "${var.prefix}-risc"
  } : key => name if name != null }

  service_account_names = merge(local.function_names, {
    scheduler = "${var.prefix}-scheduler"
    push      = "${var.prefix}-push"
    build     = "${var.prefix}-build"
  })
  service_account_purposes = {
    refresh_http = "Runs the refresh_http function, the one refresher."
    status       = "Runs the status function."
    consent      = "Runs the consent function."
    notify       = "Runs the notify function."
    token        = "Runs the token function. Has no permission on any secret."
    risc         = "Runs the risc function."
    scheduler    = "Cloud Scheduler calls refresh_http as this account."
    push         = "Pub/Sub pushes to the functions as this account."
    build        = "Builds the functions' images."
  }

  # Known before apply, so that a plan shows who gets what.
  email = merge(
    { for key, account in google_service_account.account : key => "${account.account_id}@${account.project}.iam.gserviceaccount.com" },
    { for key, email in var.service_accounts : key => email if contains(keys(local.service_account_names), key) },
  )
  member = { for key, email in local.email : key => "serviceAccount:${email}" }

  refreshers = toset([local.member.refresh_http])
  consenters = toset(var.consent == null ? [] : [local.member.consent])
  notifiers  = toset(var.notify_urls_version == 0 ? [] : [local.member.notify])

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
    # On connection secrets: when one version was made.
    dater = {
      title       = "Grant dater"
      permissions = ["secretmanager.versions.get"]
    }
    # On access-token secrets, too: numbers, states and times of versions, no payload.
    inspector = {
      title       = "Version inspector"
      permissions = ["secretmanager.versions.list"]
    }
    # On connection secrets and on access-token secrets.
    versioner = {
      title       = "Secret versioner"
      permissions = ["secretmanager.versions.add", "secretmanager.versions.destroy", "secretmanager.versions.list"]
    }
    # In the project: what docs/runbook.md asks of those who are on call. Nothing in it opens a payload.
    operator = {
      title = "Operator"
      permissions = [
        "cloudscheduler.jobs.enable", "cloudscheduler.jobs.get", "cloudscheduler.jobs.list", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.run",
        "logging.logEntries.list", "logging.logs.list",
        "monitoring.alertPolicies.get", "monitoring.alertPolicies.list", "monitoring.dashboards.get", "monitoring.dashboards.list",
        "monitoring.services.get", "monitoring.services.list", "monitoring.slos.get", "monitoring.slos.list", "monitoring.timeSeries.list",
        "pubsub.subscriptions.get", "pubsub.subscriptions.list",
        "resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy",
        "run.revisions.get", "run.revisions.list", "run.services.get", "run.services.getIamPolicy", "run.services.list",
        "secretmanager.secrets.get", "secretmanager.secrets.getIamPolicy", "secretmanager.secrets.list",
        "secretmanager.versions.get", "secretmanager.versions.list",
      ]
    }
  }
  role = { for key, role in google_project_iam_custom_role.role : key => "projects/${role.project}/roles/${role.role_id}" }
}

resource "google_service_account" "account" {
  for_each = { for key, name in local.service_account_names : key => name if !contains(keys(var.service_accounts), key) }

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
  for_each = toset(["refresh_http", "status"])

  project = var.project_id
  role    = local.role.lister
  member  = local.member[each.key]
}

resource "google_project_iam_member" "operator" {
  for_each = var.operators

  project = var.project_id
  role    = local.role.operator
  member  = each.key
}
