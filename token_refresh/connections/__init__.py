"""The stored connection, once, for run, refresh, consent and overview."""
