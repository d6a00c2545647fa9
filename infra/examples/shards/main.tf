# More connections than one project's quota carries: the same module once for each project, each connection in the project that it
# names. A new project takes new connections; those that are there stay where they are.
#
# To move one, say so first, `moving_to = "second"`: another `shard` alone is refused (docs/runbook.md, Move a connection to another
# project).

variable "projects" {
  description = "Project ids by the name of the shard."
  type        = map(string)
}

variable "connections" {
  description = "Connections by name, each with its shard."
  type        = any
  default = {
    gmail-alice = { shard = "first", owner = "alice@example.com", scopes = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"] }
    gmail-bob   = { shard = "first", owner = "bob@example.com", scopes = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"] }
    gmail-carol = { shard = "second", owner = "carol@example.com", scopes = ["openid", "email", "https://www.googleapis.com/auth/gmail.readonly"] }
  }
}

module "shards" {
  source = "../../modules/shards"

  projects    = var.projects
  connections = var.connections
}

module "token_refresh" {
  source   = "../.."
  for_each = var.projects

  project_id  = each.value
  connections = module.shards.connections[each.key]

  providers_toml = each.key == "first" ? null : file("${path.module}/second.toml") # as an example: shards need not be alike
}

output "token_refresh" {
  description = "Addresses, topics and secret ids by shard."
  value       = module.token_refresh
}

output "project_of" {
  description = "Connection -> the project whose secrets it reads."
  value       = module.shards.project_of
}
