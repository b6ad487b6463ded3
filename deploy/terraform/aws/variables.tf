variable "region" {
  description = "Where everything is; the default is Sydney."
  type        = string
  default     = "ap-southeast-2"
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
  default     = "rain-tomorrow"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "name must be 3 to 21 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "bucket" {
  description = "Name of the bucket: no other in the world may have it."
  type        = string
}

variable "namespace" {
  description = "The namespace of the Helm release, whose pods may use the bucket."
  type        = string
  default     = "rain"
}

variable "external_secrets" {
  description = "Where External Secrets runs in the cluster."
  type = object({
    namespace       = string
    service_account = string
  })
  default = {
    namespace       = "external-secrets"
    service_account = "external-secrets"
  }
}

variable "administrators" {
  description = "Networks the cluster's API answers to, by a name each; none: only from inside the network."
  type        = map(string)
  default     = {}
}

variable "nodes" {
  description = "Machine type and how many there are at least and at most."
  type = object({
    machine_type = string
    minimum      = number
    maximum      = number
  })
  default = {
    machine_type = "m7i.xlarge"
    minimum      = 3
    maximum      = 12
  }

  validation {
    condition     = var.nodes.minimum >= 1 && var.nodes.maximum >= var.nodes.minimum
    error_message = "nodes.minimum must be at least 1, and nodes.maximum no less."
  }
}

variable "database_class" {
  description = "Machine of PostgreSQL; docs/operations.md says which size suits which load."
  type        = string
  default     = "db.m7g.large"
}

variable "redis_class" {
  description = "Machine of Redis, which counts rates and queues Airflow's tasks."
  type        = string
  default     = "cache.t4g.small"
}

variable "images" {
  description = "The images of the chart, each of which gets a repository."
  type        = set(string)
  default     = ["airflow", "api_model", "gateway", "ingest", "jobs_all", "mlflow", "preprocessing", "streamlit_app", "train"]
}

variable "protected" {
  description = "Whether database and bucket refuse to be destroyed."
  type        = bool
  default     = true
}
