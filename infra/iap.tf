# The status page behind Identity-Aware Proxy: a load balancer of its own, with Google's OAuth client.

resource "google_compute_region_network_endpoint_group" "status" {
  count = var.status_iap == null ? 0 : 1

  project               = var.project_id
  name                  = local.function_names.status
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloudfunctions2_function.function["status"].name
  }
}

resource "google_compute_backend_service" "status" {
  count = var.status_iap == null ? 0 : 1

  project               = var.project_id
  name                  = local.function_names.status
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"

  backend {
    group = google_compute_region_network_endpoint_group.status[0].id
  }
  iap {
    enabled = true
  }
}

resource "google_iap_web_backend_service_iam_binding" "status" {
  count = var.status_iap == null ? 0 : 1

  project             = var.project_id
  web_backend_service = google_compute_backend_service.status[0].name
  role                = "roles/iap.httpsResourceAccessor"
  members             = var.status_iap.members
}

resource "google_compute_url_map" "status" {
  count = var.status_iap == null ? 0 : 1

  project         = var.project_id
  name            = local.function_names.status
  default_service = google_compute_backend_service.status[0].id
}

resource "google_compute_managed_ssl_certificate" "status" {
  count = var.status_iap == null ? 0 : 1

  project = var.project_id
  name    = local.function_names.status
  managed {
    domains = [var.status_iap.domain]
  }
  depends_on = [google_project_service.service]
}

resource "google_compute_ssl_policy" "status" {
  count = var.status_iap == null ? 0 : 1

  project         = var.project_id
  name            = local.function_names.status
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.service]
}

resource "google_compute_target_https_proxy" "status" {
  count = var.status_iap == null ? 0 : 1

  project          = var.project_id
  name             = local.function_names.status
  url_map          = google_compute_url_map.status[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.status[0].id]
  ssl_policy       = google_compute_ssl_policy.status[0].id
}

resource "google_compute_global_address" "status" {
  count = var.status_iap == null ? 0 : 1

  project    = var.project_id
  name       = local.function_names.status
  depends_on = [google_project_service.service]
}

resource "google_compute_global_forwarding_rule" "status" {
  count = var.status_iap == null ? 0 : 1

  project               = var.project_id
  name                  = local.function_names.status
  load_balancing_scheme = "EXTERNAL_MANAGED"
  target                = google_compute_target_https_proxy.status[0].id
  ip_address            = google_compute_global_address.status[0].id
  port_range            = "443"
}
