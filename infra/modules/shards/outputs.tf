output "connections" {
  description = "By shard: the connections that its project declares, for the root module's variable of this name."
  value       = local.connections
}

output "project_of" {
  description = "Connection -> the project whose access token is kept fresh; while the connection moves, the one that it leaves."
  value       = { for name, connection in var.connections : name => var.projects[connection.shard] }
}
