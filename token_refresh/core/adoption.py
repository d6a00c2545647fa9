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
    entry: list[tuple[str, str]] = []
    if connection.provider != "google":
        entry.append(("provider", _quote(connection.provider)))
    if has_own_client:
        entry.append(("client", '""'))
    elif connection.client_secret_id != f"oauth-client-{connection.provider}":
        entry.append(("client", _quote(connection.client_secret_id)))
    if connection.owner:
        entry.append(("owner", _quote(connection.owner)))
    if connection.scopes:
        entry.append(("scopes", f"[{', '.join(map(_quote, connection.scopes))}]"))
    if connection.variables:
        pairs = (f"{_quote(name)} = {_quote(value)}" for name, value in connection.variables.items())
        entry.append(("variables", f"{{ {', '.join(pairs)} }}"))
    width = max((len(key) for key, _ in entry), default=0)
    return [(key.ljust(width), value) for key, value in entry]


def _quote(text: str) -> str:
    """Write a string as HCL reads it: JSON's escapes, and no interpolation."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
