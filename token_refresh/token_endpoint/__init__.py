"""The exchange at a token endpoint."""
