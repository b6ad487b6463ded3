mock_provider "google" {}
mock_provider "random" {}

variables {
  project = "weather"
}

run "private_and_protected" {
  command = plan

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "nodes must have no public address"
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "without administrators, the cluster's API must answer from inside only"
  }

  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled
    error_message = "PostgreSQL must have no public address"
  }

  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && !google_storage_bucket.this.force_destroy
    error_message = "the bucket must not be public, nor be destroyed with what is in it"
  }
}

run "administrators_reach_the_cluster" {
  command = plan

  variables {
    administrators = { office = "203.0.113.0/24" }
  }

  assert {
    condition     = !google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "administrators are outside"
  }
}

run "a_name_that_cannot_be_is_refused" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "Rain Tomorrow"
  }
}

run "fewer_nodes_at_most_than_at_least_are_refused" {
  command         = plan
  expect_failures = [var.nodes]

  variables {
    nodes = { machine_type = "e2-standard-4", minimum = 3, maximum = 1 }
  }
}
