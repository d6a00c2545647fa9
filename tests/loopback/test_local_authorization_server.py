"""The authorization server of the local stack keeps the promises that tests and demo build on."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

from infra.local.authorization_server import AuthorizationServer, Client, RequestRefusedError
from infra.local.demo.browser import Browser
from tests.worlds.sign_in import OWNER, PASSWORD, VERIFIER, authorization_request, consent, eventually, exchange, grant

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def running() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as server:
        server.create_user(OWNER)
        yield server


@pytest.fixture
def server(running: AuthorizationServer) -> AuthorizationServer:
    running.clear_faults()
    running.calls(clear=True)
    return running


def test_a_minted_grant_is_exchanged_and_its_access_token_used(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "plain", access_token_seconds=1234)
    reply = exchange(server, client, refresh_token).json()
    assert reply["expires_in"] == 1234
    assert reply["token_type"] == "Bearer"
    headers = {"Authorization": f"Bearer {reply['access_token']}"}
    assert requests.get(server.userinfo_url, headers=headers, timeout=10).json()["email"] == OWNER


def test_a_client_may_authenticate_in_the_body(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "posting")
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **vars(client)}
    assert requests.post(server.token_url, data=form, timeout=10).status_code == 200


def test_a_wrong_client_secret_is_invalid_client(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "mistyped")
    reply = exchange(server, Client(client.client_id, "wrong"), refresh_token)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
    assert server.is_alive(refresh_token)


def test_a_client_that_does_not_rotate_keeps_its_refresh_token(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "steady")
    for _ in range(3):
        assert exchange(server, client, refresh_token).status_code == 200
    assert server.is_alive(refresh_token)


def test_a_rotating_client_without_grace_spends_its_refresh_token(server: AuthorizationServer) -> None:
    client, first = grant(server, "rotating", rotates_refresh_tokens=True)
    second = exchange(server, client, first).json()["refresh_token"]
    assert second != first
    assert not server.is_alive(first)
    assert exchange(server, client, first).json() == {"error": "invalid_grant"}
    assert server.is_alive(second)


def test_a_grace_period_gives_the_same_successor_again(server: AuthorizationServer) -> None:
    client, first = grant(server, "graceful", rotates_refresh_tokens=True, grace_seconds=30)
    second = exchange(server, client, first).json()["refresh_token"]
    assert exchange(server, client, first).json()["refresh_token"] == second


def test_reuse_protection_kills_the_whole_grant(server: AuthorizationServer) -> None:
    client, first = grant(server, "strict", rotates_refresh_tokens=True, reuse_protection=True)
    second = exchange(server, client, first).json()["refresh_token"]
    assert exchange(server, client, first).status_code == 400
    assert not server.is_alive(second)
    assert not server.is_grant_alive(first)


def test_switches_of_one_client_leave_the_others_alone(server: AuthorizationServer) -> None:
    steady, kept = grant(server, "neighbour")
    rotating, spent = grant(server, "other", rotates_refresh_tokens=True)
    exchange(server, rotating, spent)
    exchange(server, steady, kept)
    assert (server.is_alive(kept), server.is_alive(spent)) == (True, False)


def test_a_revoked_grant_is_dead(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "revoked")
    server.revoke(refresh_token)
    assert not server.is_alive(refresh_token)
    assert exchange(server, client, refresh_token).json()["error"] == "invalid_grant"


def test_the_journal_names_tokens_by_hash_only(server: AuthorizationServer) -> None:
    client, first = grant(server, "journalled", rotates_refresh_tokens=True)
    second = exchange(server, client, first).json()["refresh_token"]
    (call,) = server.calls()
    assert call["client_id"] == "journalled"
    assert call["refresh_token_sha256"] == hashlib.sha256(first.encode()).hexdigest()
    assert call["issued_refresh_token_sha256"] == hashlib.sha256(second.encode()).hexdigest()
    assert (call["result"], call["committed"]) == ("200", True)
    assert first not in json.dumps(server.calls())


def test_a_status_is_answered_to_the_next_call_of_one_client_only(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "unlucky", rotates_refresh_tokens=True)
    other, untouched = grant(server, "lucky")
    headers = {"Content-Type": "text/html", "Retry-After": "7"}
    server.fail(client_id="unlucky", status=503, headers=headers, body="<h1>no</h1>")
    assert exchange(server, other, untouched).status_code == 200
    reply = exchange(server, client, refresh_token)
    assert (reply.status_code, reply.headers["Retry-After"], reply.text) == (503, "7", "<h1>no</h1>")
    assert server.is_alive(refresh_token)
    assert exchange(server, client, refresh_token).status_code == 200


def test_a_fault_may_hit_the_second_call(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "second")
    server.fail(skip=1, status=500)
    assert [exchange(server, client, refresh_token).status_code for _ in range(3)] == [200, 500, 200]


def test_latency_delays_every_call_until_cleared(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "slow")
    server.fail(times=0, delay=0.2)
    for _ in range(2):
        began = time.monotonic()
        assert exchange(server, client, refresh_token).status_code == 200
        assert time.monotonic() - began >= 0.2
    server.clear_faults()
    assert server.ask("faults") == {"faults": []}


@pytest.mark.parametrize("commit", [False, True], ids=["before the server has committed", "after"])
def test_a_dropped_connection_spends_the_token_only_after_commit(server: AuthorizationServer, *, commit: bool) -> None:
    client, refresh_token = grant(server, f"dropped-{commit}", rotates_refresh_tokens=True)
    server.fail(drop=True, commit=commit)
    with pytest.raises(requests.ConnectionError):
        exchange(server, client, refresh_token)
    assert server.is_alive(refresh_token) is not commit
    assert server.is_grant_alive(refresh_token)


@pytest.mark.parametrize("commit", [False, True], ids=["before the server has committed", "after"])
def test_a_hanging_call_is_seen_in_the_journal_and_let_go(server: AuthorizationServer, *, commit: bool) -> None:
    client, refresh_token = grant(server, f"hanging-{commit}", rotates_refresh_tokens=True)
    server.fail(hang=True, commit=commit)

    def call() -> None:
        with pytest.raises(requests.ConnectionError):
            exchange(server, client, refresh_token, timeout=30)

    thread = threading.Thread(target=call)
    thread.start()
    assert eventually(lambda: [call["result"] for call in server.calls()] == ["hanging"])
    assert server.is_alive(refresh_token) is not commit
    server.clear_faults()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("fault", [{"status": "x", "nonsense": 1}, {"unknown": True}], ids=["two", "one"])
def test_an_unknown_fault_is_refused(server: AuthorizationServer, fault: dict[str, Any]) -> None:
    with pytest.raises(RequestRefusedError, match="unexpected keyword"):
        server.fail(**fault)


def test_eight_refreshes_at_once_are_all_answered(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "crowd", rotates_refresh_tokens=True, grace_seconds=10)
    replies: list[requests.Response] = []
    crowd = [threading.Thread(target=lambda: replies.append(exchange(server, client, refresh_token))) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(30)
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["refresh_token"] for reply in replies}) == 1


def test_the_owner_signs_in_and_consents(server: AuthorizationServer) -> None:
    client = server.create_client("website", scopes="openid email calendar", rotates_refresh_tokens=True)
    url = authorization_request(server, client)
    callback = consent(url)
    assert (callback["state"], callback["iss"]) == ("some-state", server.issuer)
    redirect_uri = parse_qs(urlsplit(url).query)["redirect_uri"][0]
    form = {"grant_type": "authorization_code", "code": callback["code"], "redirect_uri": redirect_uri}
    reply = requests.post(server.token_url, data={**form, "code_verifier": VERIFIER, **vars(client)}, timeout=10).json()
    assert server.is_alive(reply["refresh_token"])
    keys = JWKSet.from_json(requests.get(server.jwks_url, timeout=10).text)
    claims = json.loads(JWT(jwt=reply["id_token"], key=keys).claims)
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (server.issuer, "website", "some-nonce")
    assert (claims["email"], claims["email_verified"]) == (OWNER, True)


def test_the_owner_may_untick_a_scope(server: AuthorizationServer) -> None:
    client = server.create_client("granular", scopes="openid email calendar")
    url = authorization_request(server, client)
    callback = consent(url, without=(("granted", "calendar"),))
    redirect_uri = parse_qs(urlsplit(url).query)["redirect_uri"][0]
    form = {"grant_type": "authorization_code", "code": callback["code"], "redirect_uri": redirect_uri}
    reply = requests.post(server.token_url, data={**form, "code_verifier": VERIFIER, **vars(client)}, timeout=10).json()
    assert reply["scope"] == "openid email"


def test_a_wrong_password_is_told_and_nothing_granted(server: AuthorizationServer) -> None:
    client = server.create_client("locked", scopes="openid email calendar")
    browser = Browser()
    browser.open(authorization_request(server, client))
    browser.submit({"username": OWNER, "password": "wrong"})
    assert "do not match" in browser.page
    browser.close()


def test_a_request_without_pkce_is_refused(server: AuthorizationServer) -> None:
    client = server.create_client("sloppy", scopes="openid email calendar")
    url = authorization_request(server, client, code_challenge="", code_challenge_method="")
    browser = Browser()
    browser.open(f"{server.url}/login/")
    with pytest.raises(requests.ConnectionError) as refused:
        browser.submit({"username": OWNER, "password": PASSWORD, "next": url.removeprefix(server.url)})
    browser.close()
    assert refused.value.request is not None
    assert "error=invalid_request" in str(refused.value.request.url)


def test_the_discovery_document_names_the_endpoints(server: AuthorizationServer) -> None:
    document = requests.get(f"{server.issuer}/.well-known/openid-configuration", timeout=10).json()
    assert document["issuer"] == server.issuer
    assert document["token_endpoint"] == server.token_url
    assert document["authorization_endpoint"] == server.authorization_url
    assert document["userinfo_endpoint"] == server.userinfo_url
    assert document["jwks_uri"] == server.jwks_url


def test_the_revocation_endpoint_works(server: AuthorizationServer) -> None:
    client, refresh_token = grant(server, "leaving")
    form = {"token": refresh_token, "token_type_hint": "refresh_token", **vars(client)}
    assert requests.post(server.revocation_url, data=form, timeout=10).status_code == 200
    assert not server.is_alive(refresh_token)


def test_its_output_holds_no_token(server: AuthorizationServer) -> None:
    assert server.log().strip() == server.url
