variable "project_id" {
  description = "Project of the secret."
  type        = string
}

variable "secret_id" {
  description = "Id of the secret."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.secret_id))
    error_message = "A secret id has 1 to 255 letters, digits, hyphens and underscores."
  }
}

variable "location" {
  description = "Location of a regional secret; null: a global one."
  type        = string
  default     = null
}

variable "replica_location" {
  description = "Keep a global secret's payloads in this one location; null: Google chooses."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the secret."
  type        = map(string)
  default     = {}
}

variable "annotations" {
  description = "Annotations of the secret. Others on it are left as they are."
  type        = map(string)
  default     = {}
}

variable "kms_key" {
  description = "Customer-managed key; null: Google's own."
  type        = string
  default     = null
}

variable "topic" {
  description = "Topic (full name) told of changes; null: none."
  type        = string
  default     = null
}

variable "version_destroy_ttl" {
  description = "Delay before a destroyed version is gone; null: none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to destroy the secret."
  type        = bool
  default     = false
}

variable "iam" {
  description = "Members by role. Authoritative for the secret: every other grant on it is removed."
  type        = map(set(string))
  default     = {}
}
