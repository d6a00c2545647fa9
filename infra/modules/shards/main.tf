# Which connections each project declares. Makes nothing in the cloud: what it keeps in the state is where each connection lives.

locals {
  # A move is three applies (docs/runbook.md, Move a connection to another project), and in none of them do two projects refresh.
  #   shard = first, moving_to = second     declared in both, and both are paused: the grant is copied
  #   shard = second, moved_from = first    refreshed in the second; in the first paused, and no longer protected
  #   shard = second                        the first's secrets are destroyed
  connections = { for shard in keys(var.projects) : shard => {
    for name, connection in var.connections : name => merge(connection, {
      paused              = try(connection.moving_to, null) != null || try(connection.moved_from, null) == shard ? true : try(connection.paused, null)
      deletion_protection = try(connection.moved_from, null) == shard ? false : try(connection.deletion_protection, null)
    }) if contains([connection.shard, try(connection.moving_to, null), try(connection.moved_from, null)], shard)
  } }

  # By what it is called in messages: whether it is under way, or ended.
  moves = merge(
    { for name, connection in var.connections : "${name}: ${connection.shard} to ${connection.moving_to}" => "under way" if try(connection.moving_to, null) != null },
    { for name, connection in var.connections : "${name}: ${connection.moved_from} to ${connection.shard}" => "ended" if try(connection.moved_from, null) != null },
  )
}

# Where a connection was when it was first applied; what is ignored below stays as it is in the state. Another shard in its entry is not enough to leave it: that would make an empty
# secret there, whose owner is asked for a new consent, and plan to destroy the grant here.
resource "terraform_data" "home" {
  for_each = { for name, connection in var.connections : name => connection.shard if try(connection.moved_from, null) == null }

  input = each.value

  lifecycle {
    ignore_changes = [input]
    postcondition {
      condition     = self.input == each.value
      error_message = <<-EOT
        ${each.key} lives in the shard "${self.input}", and its grant with it. To move it: shard = "${self.input}", moving_to = "${each.value}",
        and apply; copy the grant (docs/runbook.md, Move a connection to another project); then shard = "${each.value}", moved_from = "${self.input}".
      EOT
    }
  }
}

# Whether a move was under way before it is ended.
resource "terraform_data" "move" {
  for_each = local.moves

  input = each.value

  lifecycle {
    ignore_changes = [input]
    postcondition {
      condition     = self.input == "under way"
      error_message = <<-EOT
        ${each.key}: `moved_from` ends a move that `moving_to` has not begun, so no grant has been copied. Take the entry back to what it was,
        and begin with `moving_to` (docs/runbook.md, Move a connection to another project).
      EOT
    }
  }
}
