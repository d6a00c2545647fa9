# Who is told, and what is recorded.

variable "audit_secret_access" {
  description = "Switch on Secret Manager's Data Access log for reads. The project's audit configuration for that service becomes this configuration's; logs are billed."
  type        = bool
  default     = false
  nullable    = false
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

variable "alert_seconds_left" {
  description = "An alert opens when a run leaves an access token with less life than this, in seconds. Lower it where tokens live only minutes."
  type        = number
  default     = 300
  nullable    = false
}

variable "slo_goal" {
  description = "Share of runs, over 28 days, that must find at least 99 % of the connections with the promised life in their access tokens."
  type        = number
  default     = 0.99
  nullable    = false

  validation {
    condition     = var.slo_goal >= 0.5 && var.slo_goal <= 0.999
    error_message = "Between 0.5 and 0.999."
  }
}

variable "runbook_url" {
  description = "Where docs/runbook.md can be read, for links in alerts. The text of the heading is in the alert in any case."
  type        = string
  default     = null
}

variable "alerts_left_out" {
  description = "Headings of docs/runbook.md whose alerts are not wanted. Google charges by condition."
  type        = set(string)
  default     = []
  nullable    = false
}
