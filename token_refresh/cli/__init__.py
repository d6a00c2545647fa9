"""The command `token-refresh`, for operators: declare, look, act. Nothing here runs in a function."""
