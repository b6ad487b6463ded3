mock_provider "random" {}

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = {
      names = ["ap-southeast-2a", "ap-southeast-2b", "ap-southeast-2c"]
    }
  }
}

variables {
  bucket = "weather-artifacts"
}

run "private_and_protected" {
  command = plan

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "without administrators, the cluster's API must answer from inside only"
  }

  assert {
    condition     = !aws_db_instance.this.publicly_accessible && aws_db_instance.this.deletion_protection
    error_message = "PostgreSQL must have no public address and be protected"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.this.restrict_public_buckets && !aws_s3_bucket.this.force_destroy
    error_message = "the bucket must not be public, nor be destroyed with what is in it"
  }
}

run "administrators_reach_the_cluster" {
  command = plan

  variables {
    administrators = { office = "203.0.113.0/24" }
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "only the administrators' networks may reach the cluster's API"
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
    nodes = { machine_type = "m7i.xlarge", minimum = 3, maximum = 1 }
  }
}
