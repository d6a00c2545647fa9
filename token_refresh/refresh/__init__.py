"""One refresh of one connection: find the newest grant, take the lease, exchange, keep what comes back."""
