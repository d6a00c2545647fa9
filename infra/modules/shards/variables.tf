variable "projects" {
  description = "Project ids by the name of the shard."
  type        = map(string)
}

variable "connections" {
  description = "Connections by name, each as the root module takes it and with its `shard`; while it moves with `moving_to`, and when it has arrived with `moved_from`, the names of shards, too."
  type        = any

  validation {
    condition     = alltrue([for connection in values(var.connections) : can(var.projects[connection.shard])])
    error_message = "Each connection names its shard, one of ${join(", ", keys(var.projects))}; these do not: ${join(", ", [for name, connection in var.connections : name if !can(var.projects[connection.shard])])}."
  }
  validation {
    condition = alltrue([for connection in values(var.connections) : alltrue([
      for other in [try(connection.moving_to, null), try(connection.moved_from, null)] : other == null || can(var.projects[other]) && other != try(connection.shard, null)
    ])])
    error_message = "`moving_to` and `moved_from` are another of the shards ${join(", ", keys(var.projects))} than `shard`."
  }
  validation {
    condition     = alltrue([for connection in values(var.connections) : try(connection.moving_to, null) == null || try(connection.moved_from, null) == null])
    error_message = "Either `moving_to`, while both projects are paused, or `moved_from`, when the grant has been copied: not both."
  }
}
