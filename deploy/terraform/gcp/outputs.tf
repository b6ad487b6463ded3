output "cluster" {
  description = "What `gcloud container clusters get-credentials` takes."
  value       = google_container_cluster.this.name
}

output "registry" {
  description = "The chart's images.registry."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
}

output "artifacts" {
  description = "The chart's mlflow.artifacts."
  value       = "s3://${google_storage_bucket.this.name}/mlflow"
}

output "secret" {
  description = "The chart's secrets.external.path."
  value       = google_secret_manager_secret.this.secret_id
}

output "external_secrets" {
  description = "What External Secrets' service account is annotated with, as iam.gke.io/gcp-service-account."
  value       = google_service_account.secrets.email
}

output "stores" {
  description = "The network of PostgreSQL and Redis: the chart's networkPolicies.stores."
  value       = "${google_compute_global_address.services.address}/${google_compute_global_address.services.prefix_length}"
}
