# The status page behind Identity-Aware Proxy: Cloud Run's own, without a load balancer. For browsers; callers with an ID token
# of theirs (the runbook's curl) do not come through it.

resource "google_iap_web_cloud_run_service_iam_binding" "status" {
  count = var.status_iap == null ? 0 : 1

  project                = var.project_id
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.function["status"].name
  role                   = "roles/iap.httpsResourceAccessor"
  members                = var.status_iap.members
}
