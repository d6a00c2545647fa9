"""`python -m token_refresh.providers`, in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from token_refresh.providers.__main__ import main


def run_providers(*arguments: object, code: int = 0) -> Result:
    """Run the command, which must end with that exit code."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result
