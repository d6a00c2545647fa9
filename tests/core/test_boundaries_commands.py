"""Each refusal of a boundary ends with the command that allows it, and the command does."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.boundary_requests import OWN, PROVIDERS, TOKEN, request
from token_refresh.core.boundaries import check_subject, resolve
from token_refresh.core.grant import Client, ClientCredentialsGrant, ServiceAccountGrant
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured


def command_of(fault: BaseException) -> tuple[str, str]:
    """Return the secret and the jq program of the command that a message ends with, as a shell reads them."""
    command = str(fault)[str(fault).index("gcloud secrets versions access") :]
    script = 'gcloud() { if [ "$3" = access ]; then echo "$5"; else cat >/dev/null; fi; }; jq() { echo "$1" >&2; }; '
    done = subprocess.run(["/bin/bash", "-c", script + command], capture_output=True, text=True, check=True, timeout=10)
    secret_id = command.split("--secret=")[1].split()[0]
    assert command.endswith(f"gcloud secrets versions add {secret_id} --data-file=-")
    return secret_id, done.stderr.strip()


def fault_of(asked: TokenRequest) -> Misconfigured:
    try:
        check_subject(asked)
        resolve(asked.provider.token_url, asked)
    except Misconfigured as fault:
        return fault
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    ("asked", "secret_id", "program"),
    [
        pytest.param(
            build_token_request(PROVIDERS["google"], TOKEN, OWN, client_secret_id="team"),
            "team",
            '.provider = "google"',
            id="another name",
        ),
        pytest.param(
            build_token_request(
                PROVIDERS["google"], TOKEN, Client("c", Secret("s"), providers=("o'k",)), client_secret_id="team"
            ),
            "team",
            '.provider = ["o\'k", "google"]',
            id="another provider",
        ),
        pytest.param(
            build_token_request(PROVIDERS["okta"], ClientCredentialsGrant(OWN)),
            "some-refresh-token",
            '.provider = "okta"',
            id="own client",
        ),
        pytest.param(
            request("okta", annotation={"org": "umbrella"}),
            "oauth-client-okta",
            '.allowed_variables.org = ([.allowed_variables.org // empty] | flatten) + ["umbrella"]',
            id="a choice",
        ),
        pytest.param(request("okta"), "oauth-client-okta", '.variables.org = "VALUE"', id="no value"),
        pytest.param(
            build_token_request(
                PROVIDERS["google"], ServiceAccountGrant("a@b", Secret("k")), owner="x'; rm -rf / #@example.com"
            ),
            "some-refresh-token",
            '.subjects = ([.subjects // empty] | flatten) + ["x\'; rm -rf / #@example.com"]',
            id="an owner that is none",
        ),
        pytest.param(
            build_token_request(PROVIDERS["google"], ServiceAccountGrant("a@b", Secret("k")), owner="x\x1b[2J"),
            "some-refresh-token",
            '.subjects = ([.subjects // empty] | flatten) + ["OWNER"]',
            id="an owner that cannot be printed",
        ),
    ],
)
def test_a_refusal_ends_with_the_command_that_allows_it(asked: TokenRequest, secret_id: str, program: str) -> None:
    assert command_of(fault_of(asked)) == (secret_id, program)


def test_a_variable_whose_name_has_a_dash_is_quoted_for_jq() -> None:
    table = {"token_url": "https://{accounts-server}/t", "variables": {"accounts-server": ""}}
    provider = parse_providers({"p": table})["p"]
    _, program = command_of(fault_of(request(provider, annotation={"accounts-server": "a.example"})))
    assert program.startswith('.allowed_variables["accounts-server"] = ')
    assert json.loads(program.split(" + ")[1]) == ["a.example"]
