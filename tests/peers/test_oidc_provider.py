"""The peer behaves as the tests that use it expect; a change in a new release shows here first."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from infra.local.demo.browser import Browser
from infra.local.processes.process import free_port
from tests.peers.oidc_provider import OidcProvider, why_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(360)
OWNER = "ada@example.com"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def peer() -> Iterator[OidcProvider]:
    if reason := why_missing():
        pytest.skip(reason)
    with OidcProvider() as peer:
        yield peer


def exchange(peer: OidcProvider, client_id: str, refresh_token: str) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return requests.post(peer.token_url, data=form, auth=(client_id, f"secret-of-{client_id}"), timeout=10)


def grant(peer: OidcProvider, client_id: str, *, rotates: bool = True) -> str:
    peer.create_client(client_id, f"secret-of-{client_id}", rotates_refresh_tokens=rotates)
    return peer.create_grant(client_id, OWNER)


def test_a_refresh_token_is_used_once_and_its_access_token_is_real(peer: OidcProvider) -> None:
    first = grant(peer, "rotating")
    reply = exchange(peer, "rotating", first).json()
    assert reply["refresh_token"] != first
    assert (peer.is_alive(first), peer.is_alive(reply["refresh_token"])) == (False, True)
    headers = {"Authorization": f"Bearer {reply['access_token']}"}
    assert requests.get(peer.userinfo_url, headers=headers, timeout=10).json()["email"] == OWNER


def test_a_second_use_kills_the_grant(peer: OidcProvider) -> None:
    first = grant(peer, "reused")
    second = exchange(peer, "reused", first).json()["refresh_token"]
    assert exchange(peer, "reused", first).json()["error"] == "invalid_grant"
    assert not peer.is_alive(second)
    assert not peer.is_grant_alive(second)


def test_eight_refreshes_at_once_lose_the_grant(peer: OidcProvider) -> None:
    first = grant(peer, "crowd")
    replies: list[requests.Response] = []
    crowd = [threading.Thread(target=lambda: replies.append(exchange(peer, "crowd", first))) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(30)
    assert [reply.status_code for reply in replies].count(200) == 1
    winner = next(reply.json()["refresh_token"] for reply in replies if reply.ok)
    assert not peer.is_alive(winner)


def test_a_client_may_keep_its_refresh_token(peer: OidcProvider) -> None:
    token = grant(peer, "steady", rotates=False)
    assert [exchange(peer, "steady", token).status_code for _ in range(3)] == [200, 200, 200]


def test_a_revoked_grant_is_dead_and_the_journal_says_so(peer: OidcProvider) -> None:
    token = grant(peer, "revoked")
    peer.revoke(token)
    peer.calls(clear=True)
    assert exchange(peer, "revoked", token).json()["error"] == "invalid_grant"
    (call,) = peer.calls()
    assert (call["client_id"], call["result"]) == ("revoked", "invalid_grant")
    assert call["refresh_token_sha256"] == hashlib.sha256(token.encode()).hexdigest()


def test_client_credentials_are_granted(peer: OidcProvider) -> None:
    peer.create_client("machine", "secret-of-machine", auth="client_secret_post", grant_types=["client_credentials"])
    form = {"grant_type": "client_credentials", "client_id": "machine", "client_secret": "secret-of-machine"}
    assert requests.post(peer.token_url, data=form, timeout=10).json()["token_type"] == "Bearer"


def test_a_client_may_prove_itself_with_a_private_key(peer: OidcProvider) -> None:
    key = JWK.generate(kty="EC", crv="P-256", kid="k1", alg="ES256")
    peer.create_client("keyed", auth="private_key_jwt", jwk=key.export_public(as_dict=True))
    now = int(time.time())
    claims = {"iss": "keyed", "sub": "keyed", "aud": peer.issuer, "jti": uuid.uuid4().hex, "iat": now, "exp": now + 60}
    assertion = JWT(header={"alg": "ES256", "kid": "k1"}, claims=claims)
    assertion.make_signed_token(key)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": peer.create_grant("keyed", OWNER),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion.serialize(),
    }
    assert requests.post(peer.token_url, data=form, timeout=10).status_code == 200


def test_a_public_client_bound_by_dpop_is_told_its_token_type(peer: OidcProvider) -> None:
    peer.create_client("public", auth="none")
    key = JWK.generate(kty="EC", crv="P-256", alg="ES256")
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.export_public(as_dict=True)}
    claims = {"jti": uuid.uuid4().hex, "htm": "POST", "htu": peer.token_url, "iat": int(time.time())}
    proof = JWT(header=header, claims=claims)
    proof.make_signed_token(key)
    form = {"grant_type": "refresh_token", "client_id": "public", "refresh_token": peer.create_grant("public", OWNER)}
    reply = requests.post(peer.token_url, data=form, headers={"DPoP": proof.serialize()}, timeout=10)
    assert reply.json()["token_type"] == "DPoP"


def test_the_owner_signs_in_and_consents(peer: OidcProvider) -> None:
    redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
    peer.create_client("website", "secret-of-website", redirect_uris=[redirect_uri])
    query = {
        "response_type": "code",
        "client_id": "website",
        "redirect_uri": redirect_uri,
        "scope": "openid offline_access email",
        "prompt": "consent",
        "state": "some-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    browser = Browser()
    browser.open(f"{peer.authorization_url}?{urlencode(query)}")
    with pytest.raises(requests.ConnectionError) as refused:  # nobody listens at the redirect URI
        browser.go_ahead(email=OWNER, password="any")
    browser.close()
    assert refused.value.request is not None
    callback = parse_qs(urlsplit(str(refused.value.request.url)).query)
    assert (callback["state"], callback["iss"]) == (["some-state"], [peer.issuer])
    form = {"grant_type": "authorization_code", "code": callback["code"][0], "redirect_uri": redirect_uri}
    credentials = ("website", "secret-of-website")
    reply = requests.post(peer.token_url, data={**form, "code_verifier": VERIFIER}, auth=credentials, timeout=10).json()
    assert peer.is_alive(reply["refresh_token"])
