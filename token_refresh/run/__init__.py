"""One run over all connections: who is due, what happened, what it means, what the world is told."""
