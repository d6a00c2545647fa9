"""`python -m token_refresh.cli` is the command `token-refresh`."""

from token_refresh.cli.app import main

if __name__ == "__main__":
    main()
