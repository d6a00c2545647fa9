"""A revocation signal on its whole way: a signed token, `risc`, the refresh topic, the refresher, the provider."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from infra.local.processes.functions import Function
from tests.worlds.issuer import KEYS, serve_keys
from tests.worlds.stack import StackWorld, eventually
from token_refresh.core.secrecy import Secret
from token_refresh.core.signals import double_hash

OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"


@pytest.fixture(scope="module")
def risc(running_world: StackWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    issuer = running_world.stack.authorization_server.issuer
    environment = {"RISC_AUDIENCES": "mailbox-client", "RISC_ISSUER": f"{issuer}/"}
    with serve_keys() as keys:
        environment["RISC_JWKS_URL"] = keys.url
        with running_world.other("risc", Path(tmp_path_factory.mktemp("risc")), environment) as function:
            yield function


def about_token(algorithm: str, token: str) -> dict[str, Any]:
    subject = {"subject_type": "oauth_token", "token_type": "refresh_token"}
    return {f"{OAUTH}token-revoked": {"subject": {**subject, "token_identifier_alg": algorithm, "token": token}}}


@pytest.mark.parametrize("kind", ["account", "account in the payload", "prefix", "sha512"])
def test_only_the_connection_that_is_meant_is_refreshed(world: StackWorld, risc: Function, kind: str) -> None:
    issuer = world.stack.authorization_server.issuer
    name, other = f"risc-{kind.replace(' ', '-')}", f"risc-other-{kind.replace(' ', '-')}"
    token = world.stack.authorization_server.create_grant("mailbox", "ada@example.com")
    world.canaries.add(token)
    payload = json.dumps({"refresh_token": token, "sub": f"sub of {kind}"}) if "payload" in kind else token
    annotations = {"token-refresh.subject": f"sub of {kind}"} if kind == "account" else {}
    world.declare(name, annotations=annotations, payload=payload.encode())
    world.declare(other, annotations={"token-refresh.subject": "another"})
    world.run(name, other)
    events = {
        f"{RISC}sessions-revoked": {"subject": {"subject_type": "iss-sub", "iss": issuer, "sub": f"sub of {kind}"}}
    }
    if kind == "prefix":
        events = about_token("prefix", token[:16])
    if kind == "sha512":
        events = about_token("hash_base64_sha512_sha512", double_hash(Secret(token)))
    claims = {"iss": issuer, "aud": "mailbox-client", "iat": int(time.time()), "jti": kind, "events": events}
    body = jwt.encode(claims, KEYS[0], "RS256", headers={"kid": "k0", "typ": "secevent+jwt"})
    answer = world.send("POST", risc.url, data=body, headers={"Content-Type": "application/secevent+jwt"})
    assert (answer.status_code, answer.content) == (202, b"")
    assert eventually(lambda: len(world.versions(f"{name}-access-token")) == 2)
    assert len(world.versions(f"{other}-access-token")) == 1
    # The same token once more is acknowledged and dropped.
    assert world.send("POST", risc.url, data=body).status_code == 202
    assert world.send("POST", risc.url, data=body[:-9] + "forgedxyz").status_code == 400
    world.assert_token_works(name)
    assert len(world.versions(f"{name}-access-token")) == 2
