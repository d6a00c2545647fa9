# The deployment and what it serves. Where it runs: variables_platform.tf. Who watches: variables_monitoring.tf.

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
  description = "Beginning of the names of everything but the connections' secrets; the refresh topic carries it alone. One deployment for each project and secret location, whatever its prefix: the label that makes a secret a connection counts for all of it."
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
    connection secret brings its own client). `consumers` are the IAM members that may read the access token, and nobody else
    may: the policy of both secrets is this configuration's. `deletion_protection = false`, applied before a connection is
    removed, lets its grant be destroyed.
  EOT
  type = map(object({
    provider              = optional(string, "google")
    paused                = optional(bool, false)
    client                = optional(string)
    scopes                = optional(list(string), [])
    owner                 = optional(string)
    title                 = optional(string)
    purpose               = optional(string)
    subject               = optional(string)
    format                = optional(string, "json")
    consent_warnings      = optional(string)
    refresh_before_expiry = optional(number)
    variables             = optional(map(string), {})
    consumers             = optional(set(string), [])
    deletion_protection   = optional(bool)
  }))
  default  = {}
  nullable = false
}

variable "clients" {
  description = "Further OAuth client registrations (secret ids) to make containers for, beside those the connections name. A connection declared elsewhere, by modules/connection, needs its client here."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.clients : can(regex("^[A-Za-z0-9_-]{1,255}$", id))])
    error_message = "A secret id has 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "schedule" {
  description = "When Cloud Scheduler asks for a run: every minute, or every N minutes. RUN_EVERY follows. Access tokens that live less than 20 minutes take a shorter period than the default."
  type        = string
  default     = "*/5 * * * *"
  nullable    = false

  validation {
    condition     = can(regex("^\\*(/(1|2|3|4|5|6|10|12|15|20|30))? \\* \\* \\* \\*$", var.schedule))
    error_message = "* * * * *, or */N * * * * with an N that divides the hour: 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30."
  }
}

variable "settings" {
  description = "The functions' settings, by the lower-case name of their environment variable (docs/settings.md). RUN_EVERY follows from `schedule`."
  type = object({
    refresh_before_expiry     = optional(number, 900)
    confirm_after             = optional(number, 900)
    breaker_min               = optional(number, 5)
    breaker_hold              = optional(number, 3600)
    lease_seconds             = optional(number, 120)
    http_timeout              = optional(number, 10)
    refresh_workers           = optional(number, 32)
    secret_writes_per_minute  = optional(number, 480)
    secret_reads_per_minute   = optional(number, 480)
    token_requests_per_second = optional(number, 5)
    run_seconds               = optional(number)
    consent_ticket_ttl        = optional(number, 604800)
    consent_warnings          = optional(string, "7d,1d")
    consent_name              = optional(string)
    consent_contact           = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.settings) : try(tonumber(value) > 0, true)])
    error_message = "Every number is positive."
  }
  validation {
    condition     = var.settings.lease_seconds >= 4 * var.settings.http_timeout && var.settings.lease_seconds <= 1800
    error_message = "lease_seconds is at least 4 x http_timeout and at most 1800."
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
    `behind_load_balancer`: refuse traffic that does not come through one.
  EOT
  type = object({
    url                  = optional(string)
    behind_load_balancer = optional(bool, false)
  })
  default = {}

  validation {
    condition     = try(var.consent.url, null) == null || can(regex("^https://[^/?#]+(/[^?#]*[^/?#])?$", var.consent.url))
    error_message = "The consent URL begins with https:// and has no slash at its end."
  }
}

variable "token" {
  description = <<-EOT
    The token function: Google's own libraries read a connection's access token by a credential file (output `credential_files`).
    null leaves it out. `url`: base URL if it is not the function's own. `internal`: only from the project's own networks.
    It asks Secret Manager with its caller's token, and has no permission of its own on any secret.
  EOT
  type = object({
    url      = optional(string)
    internal = optional(bool, false)
  })
  default = null

  validation {
    condition     = try(var.token.url, null) == null || can(regex("^https://[^/?#]+(/[^?#]*[^/?#])?$", var.token.url))
    error_message = "The token URL begins with https:// and has no slash at its end."
  }
}

variable "risc" {
  description = <<-EOT
    The receiver of security event tokens (Google's Cross-Account Protection): a revoked grant is looked at within minutes.
    null leaves it out. `audiences`: the OAuth client ids that the tokens are meant for.
  EOT
  type = object({
    audiences = set(string)
    issuer    = optional(string, "https://accounts.google.com")
    jwks_url  = optional(string, "https://www.googleapis.com/oauth2/v3/certs")
  })
  default = null

  validation {
    condition     = var.risc == null || try(length(var.risc.audiences) > 0, false)
    error_message = "Name at least one OAuth client id."
  }
}

variable "operators" {
  description = "IAM members that are on call: they call refresh_http, read the status page, and may do all that docs/runbook.md asks of them. None of it opens a grant or a token."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "status_iap" {
  description = "Put the status page behind Identity-Aware Proxy for these IAM members: for browsers, no longer for the runbook's curl."
  type = object({
    members = set(string)
  })
  default = null
}

variable "notify_urls_version" {
  description = "0 deploys no notify function. Otherwise the version of the secret PREFIX-notify-urls to use: Apprise URLs, one a line, added by `gcloud secrets versions add`."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.notify_urls_version >= 0 && floor(var.notify_urls_version) == var.notify_urls_version
    error_message = "A whole number, 0 or above."
  }
}

variable "signing_key_version" {
  description = "Version of the secret PREFIX-signing-key to use. The first is made here, further ones by gcloud (docs/runbook.md, Replace the signing key)."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.signing_key_version >= 1 && floor(var.signing_key_version) == var.signing_key_version
    error_message = "A whole number, 1 or above."
  }
}

variable "access_token_topic" {
  description = "Announce each new access token: Secret Manager publishes SECRET_VERSION_ADD (no payload) to the topic PREFIX-access-tokens, or to `topics.access_tokens`. For readers that wait instead of polling."
  type        = bool
  default     = false
  nullable    = false
}
