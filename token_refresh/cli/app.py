"""The command: `token-refresh SUBCOMMAND`."""

from __future__ import annotations

import click

from token_refresh.cli.act import link_connection, refresh_connections, revoke_connection
from token_refresh.cli.check import check_connection
from token_refresh.cli.credentials import print_caller, write_credentials
from token_refresh.cli.definitions import providers
from token_refresh.cli.importing import import_connection
from token_refresh.cli.look import explain_connection, list_connections
from token_refresh.cli.session import Session


@click.group("token-refresh", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--project", "projects", multiple=True, help="Project of the secrets.")
@click.option("--location", help="Location of regional secrets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(package_name="token-refresh", prog_name="token-refresh")
@click.pass_context
def app(ctx: click.Context, projects: tuple[str, ...], location: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Declare connections, see how they stand, and act on them.

    Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 cannot reach or not allowed.
    """
    ctx.obj = Session(projects, location or "", as_json)


for one in (
    import_connection,
    list_connections,
    explain_connection,
    check_connection,
    refresh_connections,
    revoke_connection,
    link_connection,
    providers,
    write_credentials,
    print_caller,
):
    app.add_command(one)


def main() -> None:
    """Run the command."""
    app(prog_name="token-refresh")
