"""`credentials`: the file with which Google's libraries ask `token` by themselves (contract 12)."""

from __future__ import annotations

import json
import shutil
import sys

import click

from token_refresh.cli.service import print_token
from token_refresh.cli.session import WRONG_USE, Session, Stop, command
from token_refresh.core.connection import access_token_secret, is_secret_id
from token_refresh.core.provider.url import is_secure
from token_refresh.core.token_exchange import build_credential_file, build_executable_answer


@click.command("credentials")
@click.argument("name")
@click.option("--token-url", required=True, metavar="URL", help="URL of the function `token`, with /token at its end.")
@click.option(
    "--for",
    "place",
    type=click.Choice(["metadata", "gcloud"]),
    default="metadata",
    show_default=True,
    help="Where the job says who it is: the metadata server of the cloud, or gcloud on a laptop.",
)
@command
def write_credentials(session: Session, name: str, token_url: str, place: str) -> None:  # noqa: ARG001
    """Print the credential file of a connection: point GOOGLE_APPLICATION_CREDENTIALS to it. It holds no secret.

    With --for gcloud also set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1.
    """
    if not is_secret_id(access_token_secret(name)):
        raise Stop(f"{name!r} is not the name of a connection", WRONG_USE)
    if not is_secure(token_url):
        raise Stop(f"{token_url} is not an https URL (http is for loopback only)", WRONG_USE)
    caller = f"{_own_command()} caller-token" if place == "gcloud" else None
    click.echo(json.dumps(build_credential_file(name, token_url, command=caller), indent=2))


@click.command("caller-token", hidden=True)
def print_caller() -> None:
    """Print who you are, as Google's libraries want it from an executable (AIP-4117)."""
    click.echo(json.dumps(build_executable_answer(print_token("print-access-token"))))


def _own_command() -> str:
    """Return a command that works from anywhere; the libraries know no quotes, so a path with a space cannot stand."""
    path = shutil.which("token-refresh")
    for words in ((path,) if path else (), (sys.executable, "-m", "token_refresh.cli")):
        if words and not any(c.isspace() or c in "'\"\\" for word in words for c in word):
            return " ".join(words)
    return "token-refresh"
