"""Terraform that adopts secrets which were made without it: the connection's entry, and the imports of its secrets."""

from __future__ import annotations

import json

from token_refresh.core.connection import Connection


def build_terraform(connection: Connection, *, project: str, location: str, has_own_client: bool) -> str:
    """Write what goes into the configuration that calls the module; `location` is empty for global secrets."""
    lines = [
        "# In the call of the module:",
        "connections = {",
        f"  {_quote(connection.name)} = {{",
        *(f"    {key} = {value}" for key, value in _entry(connection, has_own_client=has_own_client)),
        "  }",
        "}",
        "",
        "# Beside it, until it is applied:",
    ]
    place = f"projects/{project}" + (f"/locations/{location}" if location else "")
    kind = "google_secret_manager_regional_secret" if location else "google_secret_manager_secret"
    for room, secret_id in (("grant", connection.secret_id), ("access_token", connection.access_token_secret_id)):
        lines += [
            "import {",
            f"  to = module.token_refresh.module.connection[{_quote(connection.name)}].module.{room}.{kind}.secret[0]",
            f"  id = {_quote(f'{place}/secrets/{secret_id}')}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _entry(connection: Connection, *, has_own_client: bool) -> list[tuple[str, str]]:
    provider, client = connection.provider, connection.client_secret_id
    registration = _quote(client) if client != f"oauth-client-{provider}" else ""
    pairs = ", ".join(f"{_quote(name)} = {_quote(value)}" for name, value in connection.variables.items())
    entry = {
        "provider": _quote(provider) if provider != "google" else "",
        "client": _quote("") if has_own_client else registration,
        "owner": _quote(connection.owner) if connection.owner else "",
        "scopes": f"[{', '.join(map(_quote, connection.scopes))}]" if connection.scopes else "",
        "variables": f"{{ {pairs} }}" if pairs else "",
    }
    width = max((len(key) for key, value in entry.items() if value), default=0)
    return [(key.ljust(width), value) for key, value in entry.items() if value]


def _quote(text: str) -> str:
    """Write a string as HCL reads it: JSON's escapes, and no interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
