# From 0.1 (docs/runbook.md, Upgrade): nothing that holds a payload or a message is made anew, and no grant is taken away after
# its successor was given.

moved {
  from = google_pubsub_topic.refresh
  to   = google_pubsub_topic.topic["refresh"]
}

moved {
  from = google_pubsub_topic.events
  to   = google_pubsub_topic.topic["events"]
}

moved {
  from = google_pubsub_topic_iam_binding.refresh_publisher
  to   = google_pubsub_topic_iam_binding.publisher["refresh"]
}

moved {
  from = google_pubsub_topic_iam_binding.events_publisher
  to   = google_pubsub_topic_iam_binding.publisher["events"]
}

moved {
  from = google_service_account_iam_binding.push_token
  to   = google_service_account_iam_binding.push_token[0]
}

moved {
  from = google_storage_bucket.source
  to   = google_storage_bucket.source[0]
}

moved {
  from = google_storage_bucket_iam_binding.source
  to   = google_storage_bucket_iam_binding.source[0]
}

moved {
  from = google_artifact_registry_repository.images
  to   = google_artifact_registry_repository.images[0]
}

moved {
  from = google_artifact_registry_repository_iam_binding.images
  to   = google_artifact_registry_repository_iam_binding.images[0]
}

moved {
  from = module.notify_urls[0]
  to   = module.notify_urls
}

# Its version is in use; further ones come by gcloud.
removed {
  from = google_secret_manager_secret_version.notify_urls
  lifecycle {
    destroy = false
  }
}

# The service policies have replaced these: to destroy one would take its role out of them.
removed {
  from = google_cloud_run_v2_service_iam_binding.invoker
  lifecycle {
    destroy = false
  }
}
