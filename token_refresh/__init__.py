"""token-refresh: the OAuth token-refresh function for Google Cloud."""
