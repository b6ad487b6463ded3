# A private cluster, PostgreSQL and Redis on addresses of its network, a bucket for artifacts and data versions, a
# registry, and one secret with all that the Helm chart reads by External Secrets.

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  project                  = var.project
  name                     = var.name
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = "10.10.0.0/20"
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.20.0.0/16"
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.30.0.0/20"
  }
}

# Pods fetch observations from outside; nothing comes in this way.
resource "google_compute_router" "this" {
  project = var.project
  name    = var.name
  region  = var.region
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  project                            = var.project
  name                               = var.name
  region                             = var.region
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])

  project = var.project
  role    = each.value
  member  = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_container_cluster" "this" {
  project                  = var.project
  name                     = var.name
  location                 = var.region
  network                  = google_compute_network.this.id
  subnetwork               = google_compute_subnetwork.this.id
  remove_default_node_pool = true
  initial_node_count       = 1
  deletion_protection      = var.protected
  # Enforces the chart's network policies.
  datapath_provider = "ADVANCED_DATAPATH"

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = length(var.administrators) == 0
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }

  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.administrators

      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  release_channel {
    channel = "STABLE"
  }
}

resource "google_container_node_pool" "this" {
  project  = var.project
  name     = var.name
  location = var.region
  cluster  = google_container_cluster.this.name

  autoscaling {
    min_node_count = var.nodes.minimum
    max_node_count = var.nodes.maximum
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = var.nodes.machine_type
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

    shielded_instance_config {
      enable_secure_boot = true
    }
  }
}

# The network that Google's own services put PostgreSQL and Redis into.
resource "google_compute_global_address" "services" {
  project       = var.project
  name          = "${var.name}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.40.0.0"
  prefix_length = 20
  network       = google_compute_network.this.id
}

resource "google_service_networking_connection" "this" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

resource "google_sql_database_instance" "this" {
  project             = var.project
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_15"
  deletion_protection = var.protected
  depends_on          = [google_service_networking_connection.this]

  settings {
    tier              = var.database_tier
    edition           = "ENTERPRISE"
    availability_type = "REGIONAL"
    disk_autoresize   = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      start_time                     = "16:00"
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 14
      }
    }
  }
}

resource "google_sql_database" "this" {
  for_each = toset(["meteo", "mlflow", "airflow"])

  project  = var.project
  name     = each.value
  instance = google_sql_database_instance.this.name
}

resource "random_password" "this" {
  for_each = toset(["database", "service", "jwt", "airflow", "models", "tracking", "gateway", "api_model", "jobs", "retention", "mlflow"])

  length  = 48
  special = false
}

resource "google_sql_user" "this" {
  project  = var.project
  name     = "meteo"
  instance = google_sql_database_instance.this.name
  password = random_password.this["database"].result
}

resource "google_redis_instance" "this" {
  project            = var.project
  name               = var.name
  region             = var.region
  tier               = "STANDARD_HA"
  memory_size_gb     = var.redis_gb
  redis_version      = "REDIS_7_0"
  auth_enabled       = true
  connect_mode       = "PRIVATE_SERVICE_ACCESS"
  authorized_network = google_compute_network.this.id
  depends_on         = [google_service_networking_connection.this]
}

# mlflow/ holds artifacts, dvc/ the versions of the training data. Nothing in it is ever public.
resource "google_storage_bucket" "this" {
  project                     = var.project
  name                        = "${var.project}-${var.name}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protected

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }

    action {
      type = "Delete"
    }
  }
}

# MLflow and DVC speak S3, which the bucket does with a key of this account.
resource "google_service_account" "bucket" {
  project      = var.project
  account_id   = "${var.name}-bucket"
  display_name = "Bucket of ${var.name}"
}

resource "google_storage_bucket_iam_member" "bucket" {
  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_service_account.bucket.email}"
}

resource "google_storage_hmac_key" "bucket" {
  project               = var.project
  service_account_email = google_service_account.bucket.email
}

resource "google_artifact_registry_repository" "this" {
  project       = var.project
  location      = var.region
  repository_id = var.name
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }
}

locals {
  server = google_sql_database_instance.this.private_ip_address
  owner  = "meteo:${random_password.this["database"].result}"
  # deploy/containers/databases.sql, run once as the owner, makes these roles with these passwords.
  role = { for name in ["gateway", "api_model", "jobs", "retention", "mlflow"] : name => "${name}:${random_password.this[name].result}" }
}

# What the chart's `secrets` name; External Secrets makes the Kubernetes Secret of it.
resource "google_secret_manager_secret" "this" {
  project   = var.project
  secret_id = var.name

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_version" "this" {
  secret = google_secret_manager_secret.this.id
  secret_data = jsonencode({
    METEO_SERVICE_SECRET      = random_password.this["service"].result
    METEO_GATEWAY__JWT_SECRET = random_password.this["jwt"].result
    METEO_AIRFLOW__PASSWORD   = random_password.this["airflow"].result
    METEO_MODELS_SECRET       = random_password.this["models"].result
    METEO_MLFLOW__PASSWORD    = random_password.this["tracking"].result
    DATABASE_OWNER            = "postgresql+psycopg://${local.owner}@${local.server}/meteo?sslmode=require"
    DATABASE_GATEWAY          = "postgresql+psycopg://${local.role["gateway"]}@${local.server}/meteo?sslmode=require"
    DATABASE_API_MODEL        = "postgresql+psycopg://${local.role["api_model"]}@${local.server}/meteo?sslmode=require"
    DATABASE_JOBS             = "postgresql+psycopg://${local.role["jobs"]}@${local.server}/meteo?sslmode=require"
    DATABASE_RETENTION        = "postgresql+psycopg://${local.role["retention"]}@${local.server}/meteo?sslmode=require"
    METEO_GATEWAY__LIMITS     = "redis://:${google_redis_instance.this.auth_string}@${google_redis_instance.this.host}:${google_redis_instance.this.port}/0"
    MLFLOW_BACKEND_STORE_URI  = "postgresql+psycopg2://${local.role["mlflow"]}@${local.server}/mlflow?sslmode=require"
    MLFLOW_S3_ENDPOINT_URL    = "https://storage.googleapis.com"
    AWS_ACCESS_KEY_ID         = google_storage_hmac_key.bucket.access_id
    AWS_SECRET_ACCESS_KEY     = google_storage_hmac_key.bucket.secret
  })
}

# External Secrets in the cluster reads it as this account.
resource "google_service_account" "secrets" {
  project      = var.project
  account_id   = "${var.name}-secrets"
  display_name = "External Secrets of ${var.name}"
}

resource "google_secret_manager_secret_iam_member" "secrets" {
  project   = var.project
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${google_service_account.secrets.email}"
}

resource "google_service_account_iam_member" "secrets" {
  service_account_id = google_service_account.secrets.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.external_secrets.namespace}/${var.external_secrets.service_account}]"
  depends_on         = [google_container_cluster.this]
}
