variable "project_id" {
  description = "Project that holds the functions and the secrets."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "Region of the functions, the scheduler, the images and the source bucket."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west1."
  }
}

variable "prefix" {
  description = "Name of the deployment: the refresh topic and function carry it alone, everything else has it in front."
  type        = string
  default     = "token-refresh"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,18}[a-z0-9]$", var.prefix))
    error_message = "4 to 20 lower-case letters, digits and hyphens, beginning with a letter: service account ids end at 30."
  }
}

variable "labels" {
  description = "Labels for every resource that takes them."
  type        = map(string)
  default     = {}
}

variable "connections" {
  description = <<-EOT
    Connections by name: one resource owner x one OAuth client x one provider each. Only containers are made; the grant
    arrives by the consent page or by `gcloud secrets versions add NAME-refresh-token`.
    `client` is the secret id of the OAuth client registration (default oauth-client-PROVIDER; "" where the payload of the
    connection secret brings its own client). `consumers` are the IAM members that may read the access token.
  EOT
  type = map(object({
    provider              = optional(string, "google")
    paused                = optional(bool, false)
    client                = optional(string)
    scopes                = optional(list(string), [])
    owner                 = optional(string)
    subject               = optional(string)
    format                = optional(string, "json")
    access_token_secret   = optional(string)
    refresh_before_expiry = optional(number)
    variables             = optional(map(string), {})
    consumers             = optional(set(string), [])
  }))
  default  = {}
  nullable = false
}

variable "clients" {
  description = "Further OAuth client registrations (secret ids) to make containers for, beside those the connections name."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.clients : can(regex("^[A-Za-z0-9_-]{1,255}$", id))])
    error_message = "A secret id has 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "settings" {
  description = "The functions' settings, by the lower-case name of their environment variable (README, Environment)."
  type = object({
    refresh_before_expiry     = optional(number, 900)
    confirm_after             = optional(number, 60)
    breaker_min               = optional(number, 5)
    breaker_hold              = optional(number, 3600)
    lease_seconds             = optional(number, 120)
    http_timeout              = optional(number, 10)
    refresh_workers           = optional(number, 32)
    secret_writes_per_minute  = optional(number, 480)
    token_requests_per_second = optional(number, 5)
    fan_out_over              = optional(number, 500)
    fan_out_batch             = optional(number, 100)
    consent_ticket_ttl        = optional(number, 604800)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.settings) : value > 0])
    error_message = "Every setting is a positive number."
  }
}

variable "providers_toml" {
  description = "Further provider definitions in TOML, shipped with the source as PROVIDERS_FILE. Not a secret."
  type        = string
  default     = null
}

variable "consent" {
  description = <<-EOT
    The re-consent page, public by nature; null leaves it out. `url`: public base URL if it is not the function's own.
    `invokers`: who passes Cloud Run's door; the page itself asks for a signed ticket. `behind_load_balancer`: refuse
    traffic that does not come through one.
  EOT
  type = object({
    url                  = optional(string)
    invokers             = optional(set(string), ["allUsers"])
    behind_load_balancer = optional(bool, false)
  })
  default = {}

  validation {
    condition     = try(var.consent.url, null) == null || can(regex("^https://[^/?#]+(/[^?#]*[^/?#])?$", var.consent.url))
    error_message = "The consent URL begins with https:// and has no slash at its end."
  }
}

variable "operators" {
  description = "IAM members that may call refresh_http and read the status page."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "status_iap" {
  description = "Put the status page behind Identity-Aware Proxy on this domain, for these IAM members (point the domain at the output status_address)."
  type = object({
    domain  = string
    members = set(string)
  })
  default = null
}

variable "notify_urls" {
  description = "Apprise URLs, one notification target each; `{owner}` is replaced. Never enters plan or state."
  type        = list(string)
  ephemeral   = true
  sensitive   = true
  default     = []
}

variable "notify_urls_version" {
  description = "0 deploys no notify function. Otherwise raise it by one whenever notify_urls changes."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.notify_urls_version >= 0 && floor(var.notify_urls_version) == var.notify_urls_version
    error_message = "A whole number, 0 or above."
  }
}

variable "signing_key_version" {
  description = "Raise it by one to replace the key that signs consent tickets: all links sent so far stop working."
  type        = number
  default     = 1
  nullable    = false
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
  description = "Refuse to destroy connection secrets and client registrations: what they hold cannot be made again."
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
}

variable "vpc_egress" {
  description = "Send the functions' outgoing traffic through this Serverless VPC Access connector."
  type = object({
    connector = string
    egress    = optional(string, "ALL_TRAFFIC")
  })
  default = null

  validation {
    condition     = contains(["ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"], try(var.vpc_egress.egress, "ALL_TRAFFIC"))
    error_message = "ALL_TRAFFIC or PRIVATE_RANGES_ONLY."
  }
}

variable "alert_emails" {
  description = "E-mail addresses that alerts go to."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "notification_channels" {
  description = "Existing Cloud Monitoring notification channels (full names) that alerts also go to."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "runbook_url" {
  description = "Where docs/runbook.md can be read, for links in alerts. The text of the heading is in the alert in any case."
  type        = string
  default     = null
}
