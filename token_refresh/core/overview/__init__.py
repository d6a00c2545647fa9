"""What people are shown of a connection: its row, why it stands so, what happens next, and what to type."""
