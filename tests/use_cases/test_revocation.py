"""Revoking a grant, with a scripted transport: what is sent, in which order, and what counts as confirmed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.exchanges import CLIENT, EC_KEY, GRANT, NOW, URL, Script, claims_of, provider, reply
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, ServiceAccountGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.revocation import NotRevoked, Revocation, Revoked
from token_refresh.errors import Misconfigured, NotSent, ReplyLost
from token_refresh.token_endpoint.revocation import Revoker

REVOKE = "https://a.example/revoke"
ACCESS = Secret("access-token-1234")
DONE = reply(200, {})
GITHUB: dict[str, Any] = {
    "revocation_url": "https://a.example/applications/{client_id}/grant",
    "revocation": {
        "method": "DELETE",
        "tokens": "access_token",
        "client_auth": "client_secret_basic",
        "request_format": "json",
        "params": {"access_token": "{token}"},
        "headers": {"X-GitHub-Api-Version": "2022-11-28"},
    },
}


def revoke(
    script: Script, grant: Grant = GRANT, client: Client | None = CLIENT, access: Secret | None = ACCESS, **keys: Any
) -> Revocation:
    revoker = Revoker(script, KeySigner(), lambda: NOW)
    keys = {"revocation_url": REVOKE, **keys}
    variables = keys.pop("annotated", {})
    request = build_token_request(provider(**keys), grant, client, variables=variables)
    return revoker.revoke(request, access_token=access)


def test_the_refresh_token_is_revoked_first_and_then_the_access_token() -> None:
    script = Script(DONE, DONE)
    assert revoke(script) == Revoked()
    assert [(request.method, request.url) for request in script.sent] == [("POST", REVOKE)] * 2
    assert script.form(0) == {
        "client_id": "client",
        "client_secret": "client-secret-1234",
        "token": "refresh-token-1234",
        "token_type_hint": "refresh_token",
    }
    assert (script.form(1)["token"], script.form(1)["token_type_hint"]) == ("access-token-1234", "access_token")


def test_without_an_access_token_one_request_is_all() -> None:
    script = Script(DONE)
    assert revoke(script, access=None) == Revoked()
    assert len(script.sent) == 1


def test_a_refresh_token_that_is_not_confirmed_leaves_the_access_token_alone() -> None:
    script = Script(reply(503, {}))
    outcome = revoke(script)
    assert isinstance(outcome, NotRevoked)
    assert outcome.reason == "http_503"
    assert len(script.sent) == 1


def test_a_grant_is_gone_although_the_access_token_cannot_be_revoked() -> None:
    script = Script(DONE, reply(400, {"error": "unsupported_token_type"}))  # RFC 7009, section 2.2.1
    assert revoke(script) == Revoked()
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    ("answer", "confirmed"),
    [
        pytest.param(reply(200, {}), True, id="empty object"),
        pytest.param(reply(204, ""), True, id="no content"),
        pytest.param(reply(200, {"ok": True, "revoked": True}), True, id="slack"),
        pytest.param(reply(400, {"error": "invalid_token"}), True, id="google, gone already"),
        pytest.param(reply(200, {"ok": False, "error": "token_revoked"}), True, id="slack, gone already"),
        pytest.param(reply(200, {"ok": False, "error": "invalid_auth"}), False, id="an error with status 200"),
        pytest.param(reply(200, {"access_token": "x" * 9, "error": "odd"}), False, id="a token beside an error"),
        pytest.param(reply(400, {"error": "invalid_grant"}), False, id="perhaps another client's"),
        pytest.param(reply(401, {"error": "invalid_client"}), False, id="wrong client"),
        pytest.param(reply(404, {"message": "Not Found"}), False, id="not there"),
        pytest.param(reply(302, {}), False, id="moved"),
        pytest.param(reply(429, {}), False, id="throttled"),
        pytest.param(NotSent("x"), False, id="not sent"),
        pytest.param(ReplyLost("x"), False, id="lost"),
    ],
)
def test_what_counts_as_confirmed(answer: Any, confirmed: object) -> None:
    outcome = revoke(Script(answer), access=None)
    assert isinstance(outcome, Revoked if confirmed else NotRevoked)


def test_what_was_sent_is_masked_in_what_comes_back() -> None:
    for sent in ("refresh-token-1234", "client-secret-1234"):
        assert revoke(Script(reply(400, {"error": sent}))) == NotRevoked("unknown_error")


def test_githubs_own_way_deletes_the_grant_that_stands_behind_an_access_token() -> None:
    script = Script(reply(204, ""))
    assert revoke(script, **GITHUB) == Revoked()
    (request,) = script.sent
    assert (request.method, request.url) == ("DELETE", "https://a.example/applications/client/grant")
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"client:client-secret-1234"
    assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert json.loads(request.body) == {"access_token": "access-token-1234"}


def test_a_client_id_cannot_leave_its_place_in_the_path() -> None:
    script = Script(reply(204, ""))
    revoke(script, client=Client("a/../../b?c#d", CLIENT.client_secret), **GITHUB)
    assert script.sent[0].url == "https://a.example/applications/a%2F..%2F..%2Fb%3Fc%23d/grant"


def test_a_way_through_the_access_token_needs_one() -> None:
    assert revoke(Script(), access=None, **GITHUB) == NotRevoked("no_access_token")
    outcome = revoke(Script(reply(422, {"message": "Validation Failed"})), **GITHUB)
    assert isinstance(outcome, NotRevoked)


def test_a_token_may_go_as_the_bearer_of_a_request_without_a_body() -> None:
    way = {
        "client_auth": "none",
        "params": {"client_id": ""},
        "headers": {"Authorization": "Bearer {token}"},
        "tokens": "access_token",
    }
    script = Script(reply(200, None))
    assert revoke(script, revocation=way) == Revoked()
    assert script.sent[0].headers["Authorization"] == "Bearer access-token-1234"
    assert (script.sent[0].body, "Content-Type" in script.sent[0].headers) == (b"", False)


def test_where_the_refresh_token_is_all_the_access_token_is_not_sent() -> None:
    script = Script(DONE)
    way = {"tokens": "refresh_token", "request_format": "query", "params": {"token": "{token}"}}
    assert revoke(script, revocation=way, client_auth="client_secret_basic") == Revoked()
    assert script.sent[0].url == f"{REVOKE}?token=refresh-token-1234"


def test_parameters_have_the_names_that_the_definition_gives_them() -> None:
    script = Script(DONE)
    revoke(script, access=None, param_names={"client_id": "client_key"})
    assert script.form()["client_key"] == "client"


def test_a_client_with_a_key_signs_for_the_server_by_its_token_endpoint_s_url() -> None:
    """RFC 7523, section 3; Keycloak refuses the revocation endpoint's own URL."""
    script = Script(DONE)
    client = Client("client", None, EC_KEY, "k1")
    assert revoke(script, client=client, access=None, client_auth="private_key_jwt") == Revoked()
    _, claims = claims_of(script.form()["client_assertion"], EC_KEY, "ES256")
    assert claims["aud"] == provider().token_url


def test_a_variable_is_filled_as_in_any_other_url() -> None:
    script = Script(DONE)
    keys: dict[str, Any] = {
        "token_url": "https://{tenant}.a.example/token",
        "revocation_url": "https://{tenant}.a.example/revoke",
        "variables": {"tenant": ""},
    }
    client = Client("client", CLIENT.client_secret, variables={"tenant": "acme"})
    revoke(script, client=client, access=None, **keys)
    assert script.sent[0].url == "https://acme.a.example/revoke"
    with pytest.raises(Misconfigured, match="variable tenant has no value"):
        revoke(Script(), access=None, **keys)


@pytest.mark.parametrize(
    ("grant", "keys", "words"),
    [
        pytest.param(GRANT, {"revocation_url": None}, "no revocation_url", id="no endpoint"),
        pytest.param(ServiceAccountGrant("a@b", Secret("k")), {}, "no owner's grant", id="service account"),
        pytest.param(ClientCredentialsGrant(CLIENT), {}, "no owner's grant", id="client"),
    ],
)
def test_what_cannot_be_revoked_is_said_plainly(grant: Grant, keys: dict[str, Any], words: str) -> None:
    keys = {"revocation_url": REVOKE, **keys}
    kept = {name: value for name, value in keys.items() if value is not None}
    revoker, request = Revoker(Script(), KeySigner(), lambda: NOW), build_token_request(provider(**kept), grant, CLIENT)
    with pytest.raises(Misconfigured, match=words):
        revoker.revoke(request, access_token=ACCESS)


def test_nothing_is_sent_without_a_client() -> None:
    with pytest.raises(Misconfigured, match="no client registration"):
        revoke(Script(), client=None)


def test_the_url_of_the_tokens_is_not_asked() -> None:
    script = Script(DONE, DONE)
    revoke(script)
    assert URL not in {request.url for request in script.sent}
