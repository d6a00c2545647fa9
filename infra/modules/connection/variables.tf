variable "deployment" {
  description = "The deployment this connection belongs to: output `deployment` of the root module."
  type = object({
    project_id          = string
    location            = optional(string)
    topic               = optional(string)
    access_token_topic  = optional(string)
    refreshers          = set(string)
    consenters          = optional(set(string), [])
    notifiers           = optional(set(string), [])
    viewers             = optional(set(string), [])
    operators           = optional(set(string), [])
    roles               = object({ annotator = string, dater = string, describer = string, inspector = string, versioner = string })
    labels              = optional(map(string), {})
    kms_key             = optional(string)
    version_destroy_ttl = optional(string)
    deletion_protection = optional(bool, true)
  })
}

variable "name" {
  description = "Name of the connection, such as gmail-alice."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,241}$", var.name))
    error_message = "1 to 241 letters, digits, hyphens and underscores: with -refresh-token at its end it is a secret id."
  }
}

variable "oauth_provider" {
  description = "Key of the provider's definition."
  type        = string
  default     = "google"

  validation {
    condition     = can(regex("^[a-z0-9_-]{1,63}$", var.oauth_provider))
    error_message = "A label value: 1 to 63 lower-case letters, digits, hyphens and underscores."
  }
}

variable "paused" {
  description = "List and show the connection, but never refresh it."
  type        = bool
  default     = false
}

variable "client" {
  description = "Secret id of the OAuth client registration; null: oauth-client-PROVIDER; \"\": the payload brings its own."
  type        = string
  default     = null
}

variable "scopes" {
  description = "Scopes asked for at consent, and required of the grant."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for scope in var.scopes : can(regex("^[!#-\\[\\]-~]+$", scope))])
    error_message = "A scope is printable ASCII without space, quotation mark or backslash (RFC 6749, section 3.3)."
  }
}

variable "owner" {
  description = "Resource owner: one e-mail address, or a login; \"*\": whoever consents first. Who may consent depends on it: without owner and subject nobody may."
  type        = string
  default     = null
}

variable "title" {
  description = "What owners read on the page and in the message: the name of what they are asked for."
  type        = string
  default     = null
}

variable "purpose" {
  description = "What owners read, too: what the access is for."
  type        = string
  default     = null
}

variable "consent_warnings" {
  description = "How long before a known end of the grant its owner is told, such as 7d,1d; null: the setting."
  type        = string
  default     = null

  validation {
    condition     = var.consent_warnings == null || can(regex("^[0-9]+(\\.[0-9]+)?[smhd]( *, *[0-9]+(\\.[0-9]+)?[smhd])*$", var.consent_warnings))
    error_message = "Durations such as 7d,1d or 36h."
  }
}

variable "deletion_protection" {
  description = "Refuse to destroy the connection secret; null: as the deployment says. Set it to false, and apply, before the connection is removed."
  type        = bool
  default     = null
}

variable "subject" {
  description = "The provider's stable account id, where it is known beforehand. The consent page records it otherwise."
  type        = string
  default     = null
}

variable "format" {
  description = "Form of the access-token secret: json, or text for the bare token."
  type        = string
  default     = "json"

  validation {
    condition     = contains(["json", "text"], var.format)
    error_message = "json or text."
  }
}

variable "refresh_before_expiry" {
  description = "Seconds before its expiry at which the access token is replaced; null: the provider's, or the setting."
  type        = number
  default     = null

  validation {
    condition     = try(var.refresh_before_expiry > 0, true)
    error_message = "A positive number of seconds."
  }
}

variable "variables" {
  description = "Values for the variables in the provider's URLs."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for value in values(var.variables) : can(regex("^[A-Za-z0-9.-]{1,253}$", value)) && !contains([".", ".."], value)])
    error_message = "1 to 253 letters, digits, dots and hyphens, and not . or .. alone."
  }
}

variable "consumers" {
  description = "IAM members that may read the access token, and nothing else."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setintersection(var.consumers, ["allUsers", "allAuthenticatedUsers"])) == 0
    error_message = "An access token is not for everybody."
  }
}
