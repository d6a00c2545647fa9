# One connection, and which project declares it how: at home, while it moves, when it has arrived, and after that. Each run is an
# apply over the state of the one before; what is refused leaves that as it was.

variables {
  projects = { first = "project-one", second = "project-two" }
  connections = {
    alice = { shard = "first", owner = "alice@example.com" }
    bob   = { shard = "second", paused = true }
  }
}

run "each_lives_in_its_shard" {
  module {
    source = "./modules/shards"
  }

  assert {
    condition     = { for shard, connections in output.connections : shard => keys(connections) } == { first = ["alice"], second = ["bob"] }
    error_message = "A connection is declared in another project than it names."
  }
  assert {
    condition     = output.connections.first.alice.paused == null && output.connections.first.alice.deletion_protection == null && output.connections.first.alice.owner == "alice@example.com"
    error_message = "What an entry does not say is left to the deployment, and the rest is passed on."
  }
  assert {
    condition     = output.connections.second.bob.paused && output.project_of == { alice = "project-one", bob = "project-two" }
    error_message = "What an entry says is passed on."
  }
}

run "another_shard_alone_is_refused" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "second" }, bob = { shard = "second" } }
  }
  expect_failures = [terraform_data.home["alice"]]
}

run "while_it_moves_both_are_paused_and_protected" {
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "first", moving_to = "second", owner = "alice@example.com" }, bob = { shard = "second" } }
  }

  assert {
    condition     = alltrue([for shard in ["first", "second"] : output.connections[shard].alice.paused && output.connections[shard].alice.deletion_protection == null])
    error_message = "Two projects might refresh one grant, or one of them be destroyed."
  }
  assert {
    condition     = output.project_of.alice == "project-one" && output.connections.second.bob.paused == null
    error_message = "Readers stay where a token is, and other connections what they were."
  }
}

run "a_move_that_is_not_ended_is_not_forgotten" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "second" }, bob = { shard = "second" } }
  }
  expect_failures = [terraform_data.home["alice"]]
}

run "where_it_has_arrived_it_is_refreshed_and_where_it_was_it_may_be_destroyed" {
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "second", moved_from = "first" }, bob = { shard = "second" } }
  }

  assert {
    condition     = output.connections.first.alice.paused && output.connections.first.alice.deletion_protection == false
    error_message = "The project that it has left goes on with it, or cannot be rid of it."
  }
  assert {
    condition     = output.connections.second.alice.paused == null && output.connections.second.alice.deletion_protection == null && output.project_of.alice == "project-two"
    error_message = "It sleeps on, or is unprotected, where it has arrived."
  }
}

run "from_there_it_may_not_simply_be_taken_back" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "first", moved_from = "second" }, bob = { shard = "second" } }
  }
  expect_failures = [terraform_data.move["alice: second to first"]]
}

run "after_that_it_lives_in_one_project" {
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "second" }, bob = { shard = "second" } }
  }

  assert {
    condition     = keys(output.connections.first) == [] && output.connections.second.alice.paused == null
    error_message = "It is declared twice, or sleeps."
  }
}

run "names_that_are_no_shards_are_refused" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "third" }, bob = {} }
  }
  expect_failures = [var.connections]
}

run "a_move_to_where_it_is_is_refused" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "first", moving_to = "first" } }
  }
  expect_failures = [var.connections]
}

run "both_ends_of_a_move_at_once_are_refused" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "first", moving_to = "second", moved_from = "second" } }
  }
  expect_failures = [var.connections]
}

run "the_end_of_a_move_that_was_not_begun_is_refused" {
  command = plan
  module {
    source = "./modules/shards"
  }
  variables {
    connections = { alice = { shard = "first", moved_from = "second" }, bob = { shard = "second" } }
  }
  expect_failures = [terraform_data.move["alice: second to first"]]
}
