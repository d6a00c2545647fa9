"""`python -m token_refresh.providers`: for people who write a definition, where the command is not installed."""

from __future__ import annotations

from collections.abc import Iterator

import click

from token_refresh.cli.definitions import check_providers, discover_provider
from token_refresh.core.provider.definition import Provider
from token_refresh.providers import load_providers
from token_refresh.providers.schema import render_schema


@click.group("python -m token_refresh.providers", commands=[check_providers, discover_provider])
def main() -> None:
    """Check and write definitions of providers; print what the documentation says of them."""


@main.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a file of definitions, for editors."""
    click.echo(render_schema(), nl=False)


@main.command("list")
def print_table() -> None:
    """Print the built-in providers as a Markdown table."""
    click.echo("\n".join(_table()))


def _table() -> Iterator[str]:
    yield "| provider | client | request | refresh token | access token | refresh token lives | account | variables |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, provider in sorted(load_providers().items()):
        cells = (
            f"`{name}`",
            provider.client_auth.removeprefix("client_secret_"),
            provider.request_format,
            {"never": "stays", "always": "is replaced", "maybe": "may be replaced"}[provider.rotates_refresh_tokens],
            _span(provider.default_expires_in),
            _lives(provider),
            provider.subject.source if provider.subject else "",
            ", ".join(f"`{name}`" for name in provider.variables),
        )
        yield f"| {' | '.join(cells)} |"


def _lives(provider: Provider) -> str:
    lives = [_span(provider.refresh_token_lifetime)] if provider.refresh_token_lifetime else []
    if provider.refresh_token_idle_lifetime:
        lives.append(f"{_span(provider.refresh_token_idle_lifetime)} unused")
    return ", ".join(lives)


def _span(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


if __name__ == "__main__":
    main()
