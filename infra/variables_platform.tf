# Where the organisation has its say: locations, keys, networks, and what it brings itself.

variable "unprotected_clients" {
  description = "Client registrations (secret ids) that may be destroyed although `deletion_protection` is on: apply this before the last connection that names one is removed."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "public_access" {
  description = "How consent, token and risc are opened to callers without a Google Cloud identity: `invoker_check_off` (works under domain restricted sharing) or `all_users` (where an organisation demands the check: constraints/run.managed.requireInvokerIam)."
  type        = string
  default     = "invoker_check_off"
  nullable    = false

  validation {
    condition     = contains(["invoker_check_off", "all_users"], var.public_access)
    error_message = "invoker_check_off or all_users."
  }
}

variable "refresh_ingress" {
  description = "Who reaches refresh_http at all, before IAM: INGRESS_TRAFFIC_ALL, or INGRESS_TRAFFIC_INTERNAL_ONLY, which Scheduler and Pub/Sub pass and an operator's curl does not."
  type        = string
  default     = "INGRESS_TRAFFIC_ALL"
  nullable    = false

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], var.refresh_ingress)
    error_message = "INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }
}

variable "secret_location" {
  description = "Keep connections, access tokens and client registrations in regional secrets of this location; null: global."
  type        = string
  default     = null
}

variable "version_destroy_ttl" {
  description = "Delay between destroying a version of a connection secret and its end, such as 86400s; null: none. Billed meanwhile."
  type        = string
  default     = null

  validation {
    condition = var.version_destroy_ttl == null || (can(regex("^[0-9]+s$", var.version_destroy_ttl)) &&
    try(tonumber(trimsuffix(var.version_destroy_ttl, "s")), 0) >= 86400)
    error_message = "A duration in seconds of at least a day, such as 86400s."
  }
}

variable "deletion_protection" {
  description = "Refuse to destroy connection secrets and client registrations: what they hold cannot be made again. A connection's own `deletion_protection` outranks it."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms" {
  description = "Customer-managed keys: `secrets` for Secret Manager (a key in `global`, or in secret_location), `regional` for everything in the region."
  type = object({
    secrets  = optional(string)
    regional = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.secret_location == null || (var.kms.secrets == null) == (var.kms.regional == null)
    error_message = "With secret_location give both keys or none: signing key and notification URLs are kept under the regional one."
  }
  validation {
    condition     = var.kms.regional == null || var.secret_location == null || var.secret_location == var.region
    error_message = "With a regional key secret_location is the region: a key serves its own location only."
  }
  validation {
    condition     = var.kms.regional == null || can(regex("/locations/${var.region}/", var.kms.regional))
    error_message = "The regional key lies in the region."
  }
}

variable "vpc" {
  description = "Send the functions' outgoing traffic into a network: Direct VPC egress by `network` and/or `subnetwork`, or a Serverless VPC Access `connector`. With ALL_TRAFFIC token endpoints take Cloud NAT, and Google's APIs Private Google Access."
  type = object({
    network    = optional(string)
    subnetwork = optional(string)
    tags       = optional(list(string))
    connector  = optional(string)
    egress     = optional(string, "ALL_TRAFFIC")
  })
  default = null

  validation {
    condition     = contains(["ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"], try(var.vpc.egress, "ALL_TRAFFIC"))
    error_message = "ALL_TRAFFIC or PRIVATE_RANGES_ONLY."
  }
  validation {
    condition     = var.vpc == null || (try(var.vpc.connector, null) == null) != (try(coalesce(var.vpc.network, var.vpc.subnetwork), null) == null)
    error_message = "A network or subnetwork, or else a connector."
  }
}

variable "build_worker_pool" {
  description = "Private pool of Cloud Build that builds the images (projects/P/locations/R/workerPools/W); null: the default pool. Inside a VPC Service Controls perimeter it takes one."
  type        = string
  default     = null

  validation {
    condition     = var.build_worker_pool == null || can(regex("^projects/[^/]+/locations/[^/]+/workerPools/[^/]+$", var.build_worker_pool))
    error_message = "projects/PROJECT/locations/REGION/workerPools/POOL."
  }
}

variable "service_accounts" {
  description = "Service accounts of your own (e-mail addresses) by what they are for: refresh_http, status, consent, notify, token, risc, scheduler, push, build. The others are made."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.service_accounts), ["refresh_http", "status", "consent", "notify", "token", "risc", "scheduler", "push", "build"])) == 0
    error_message = "Keys are refresh_http, status, consent, notify, token, risc, scheduler, push and build."
  }
  validation {
    condition     = alltrue([for email in values(var.service_accounts) : can(regex("^[^@:]+@[^@]+[.]gserviceaccount[.]com$", email))]) && length(distinct(values(var.service_accounts))) == length(var.service_accounts)
    error_message = "E-mail addresses of service accounts, each for one purpose."
  }
}

variable "topics" {
  description = "Topics of your own (projects/P/topics/T) instead of those made here. Publishers are added to their policy; a schema is theirs."
  type = object({
    refresh       = optional(string)
    events        = optional(string)
    access_tokens = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in values(var.topics) : name == null || can(regex("^projects/[^/]+/topics/[^/]+$", name))])
    error_message = "projects/PROJECT/topics/TOPIC."
  }
}

variable "image_repository" {
  description = "Artifact Registry repository of your own for the images (projects/P/locations/L/repositories/R); null: one is made, with a clean-up policy."
  type        = string
  default     = null

  validation {
    condition     = var.image_repository == null || can(regex("^projects/[^/]+/locations/[^/]+/repositories/[^/]+$", var.image_repository))
    error_message = "projects/PROJECT/locations/LOCATION/repositories/REPOSITORY."
  }
}

variable "source_bucket" {
  description = "Bucket of your own for the functions' source; null: one is made."
  type        = string
  default     = null
}
