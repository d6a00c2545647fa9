"""The command `token-refresh` with the environment of the local stack, as an operator runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.worlds.stack import OWNER, StackWorld
from token_refresh.cli.app import app


def name_of(request: pytest.FixtureRequest) -> str:
    """Return a name for the connection of one test."""
    letters = "".join(c if c.isalnum() else "-" for c in str(request.node.name).lower())
    return f"cli-{letters[-50:].strip('-')}"


class Command:
    """The command with the environment of the stack; what it says must hold no secret."""

    def __init__(self, world: StackWorld) -> None:
        self.world = world

    def __call__(self, *arguments: str, stdin: bytes | None = None, **environ: str) -> Result:
        s = self.world.stack
        names = ("GOOGLE_CLOUD_PROJECT", "SECRET_MANAGER_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "PROVIDERS_FILE")
        environment = {**{key: s.environment[key] for key in names}, **environ}
        result = CliRunner().invoke(app, list(arguments), env=environment, input=stdin, prog_name="token-refresh")
        self.world.bodies.append(result.output)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str, code: int = 0, **more: Any) -> dict[str, Any]:
        result = self(*arguments, "--json", **more)
        assert result.exit_code == code, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document


def grant(world: StackWorld, client: str = "mailbox") -> str:
    token = world.stack.authorization_server.create_grant(client, OWNER)
    world.canaries.add(token)
    return token
