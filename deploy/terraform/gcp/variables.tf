variable "project" {
  description = "The Google Cloud project everything is made in."
  type        = string
}

variable "region" {
  description = "Where everything is; the default is Sydney."
  type        = string
  default     = "australia-southeast1"
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
  description = "Machine type and how many there are at least and at most in each of the region's zones."
  type = object({
    machine_type = string
    minimum      = number
    maximum      = number
  })
  default = {
    machine_type = "e2-standard-4"
    minimum      = 1
    maximum      = 4
  }

  validation {
    condition     = var.nodes.minimum >= 1 && var.nodes.maximum >= var.nodes.minimum
    error_message = "nodes.minimum must be at least 1, and nodes.maximum no less."
  }
}

variable "database_tier" {
  description = "Machine of PostgreSQL; docs/operations.md says which size suits which load."
  type        = string
  default     = "db-custom-2-7680"
}

variable "redis_gb" {
  description = "Memory of Redis, which counts rates and queues Airflow's tasks."
  type        = number
  default     = 1
}

variable "protected" {
  description = "Whether cluster, database and bucket refuse to be destroyed."
  type        = bool
  default     = true
}
