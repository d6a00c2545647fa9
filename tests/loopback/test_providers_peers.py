"""Exchanges with authorization servers that nobody here wrote: npm's oidc-provider and django-oauth-toolkit."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto.jwk import JWK

from infra.local.authorization_server import AuthorizationServer
from infra.local.demo.browser import Browser
from infra.local.processes.process import free_port
from tests.fakes.token_requests import build_token_request
from tests.peers.exchanges import CHALLENGE, ODD_SECRET, OWNER, VERIFIER, needs_node, pem, provider, refresh, refreshed
from tests.peers.oidc_provider import OidcProvider
from token_refresh.core.grant import Client, ClientCredentialsGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead, Refreshed, TokenOutcome
from token_refresh.token_endpoint.exchange import Exchange

pytestmark = pytest.mark.timeout(360)


@needs_node
@pytest.mark.parametrize("auth", ["client_secret_post", "client_secret_basic"])
def test_node_takes_a_secret_full_of_odd_characters(node: OidcProvider, endpoint: Exchange, auth: str) -> None:
    name = f"odd:{auth}"
    node.create_client(name, ODD_SECRET, auth=auth)
    first = node.create_grant(name, OWNER)
    client, peer = Client(name, Secret(ODD_SECRET)), provider(node.token_url, client_auth=auth)
    rotated = refreshed(refresh(endpoint, peer, client, first)).refresh_token
    assert rotated is not None
    assert node.is_alive(rotated.reveal())
    assert not node.is_alive(first)


@needs_node
@pytest.mark.parametrize("auth", ["client_secret_post", "client_secret_basic"])
def test_node_refuses_a_wrong_secret_and_spends_nothing(node: OidcProvider, endpoint: Exchange, auth: str) -> None:
    node.create_client(f"strict-{auth}", "right-secret", auth=auth)
    grant = node.create_grant(f"strict-{auth}", OWNER)
    peer = provider(node.token_url, client_auth=auth)
    outcome = refresh(endpoint, peer, Client(f"strict-{auth}", Secret("wrong-secret")), grant)
    assert isinstance(outcome, ClientRejected)
    assert outcome.reason == "invalid_client"
    assert node.is_alive(grant)


@needs_node
@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_node_takes_an_assertion_by_a_private_key(node: OidcProvider, endpoint: Exchange, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    jwk = JWK.from_pem(pem(key).reveal().encode()).export_public(as_dict=True)
    algorithm = "RS256" if kind == "RSA" else "ES256"
    node.create_client(f"keyed-{kind}", auth="private_key_jwt", jwk={**jwk, "kid": "k1", "alg": algorithm})
    client, peer = (
        Client(f"keyed-{kind}", None, pem(key), "k1"),
        provider(node.token_url, client_auth="private_key_jwt"),
    )
    token = node.create_grant(f"keyed-{kind}", OWNER)
    for _ in range(2):
        rotated = refreshed(refresh(endpoint, peer, client, token)).refresh_token
        assert rotated is not None
        token = rotated.reveal()


@needs_node
def test_node_grants_client_credentials(node: OidcProvider, endpoint: Exchange) -> None:
    node.create_client("machine", "secret-of-machine", grant_types=["client_credentials"])
    client = Client("machine", Secret("secret-of-machine"))
    peer = provider(node.token_url, client_auth="client_secret_basic")
    outcome = refreshed(refresh(endpoint, peer, client, ClientCredentialsGrant(client)))
    assert outcome.refresh_token is None
    assert outcome.expires_at - time.time() == pytest.approx(600, abs=5)


@needs_node
def test_node_binds_a_public_clients_refresh_token_to_its_key(node: OidcProvider, endpoint: Exchange) -> None:
    node.create_client("public", auth="none")
    peer = provider(node.token_url, client_auth="none")
    key, other = (pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    jkt = JWK.from_pem(key.reveal().encode()).thumbprint()
    grant = node.ask("grant", client_id="public", account=OWNER, scope="openid offline_access", jkt=jkt)
    bound: str = grant["refresh_token"]
    stolen = refresh(endpoint, peer, Client("public", dpop_private_key=other), bound)
    assert not isinstance(stolen, Refreshed)
    unproven = refresh(endpoint, peer, Client("public"), bound)
    assert not isinstance(unproven, Refreshed)
    outcome = refreshed(refresh(endpoint, peer, Client("public", dpop_private_key=key), bound))
    assert outcome.token_type == "DPoP"
    assert outcome.refresh_token is not None


@needs_node
def test_node_calls_a_second_use_and_a_revoked_grant_dead(node: OidcProvider, endpoint: Exchange) -> None:
    node.create_client("twice", "secret")
    client, peer = Client("twice", Secret("secret")), provider(node.token_url, client_auth="client_secret_basic")
    first, second = node.create_grant("twice", OWNER), node.create_grant("twice", OWNER)
    refreshed(refresh(endpoint, peer, client, first))
    assert isinstance(refresh(endpoint, peer, client, first), GrantDead)
    node.revoke(second)
    assert isinstance(refresh(endpoint, peer, client, second), GrantDead)
    outcome = refresh(endpoint, peer, client, "never-issued")
    assert isinstance(outcome, GrantDead)
    assert "never-issued" not in repr(outcome)


@needs_node
def test_node_redeems_a_code_with_its_verifier(node: OidcProvider, endpoint: Exchange) -> None:
    redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
    node.create_client("website", "secret-of-website", redirect_uris=[redirect_uri])
    query = {
        "response_type": "code",
        "client_id": "website",
        "redirect_uri": redirect_uri,
        "scope": "openid offline_access email",
        "prompt": "consent",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    browser = Browser()
    browser.open(f"{node.authorization_url}?{urlencode(query)}")
    with pytest.raises(requests.ConnectionError) as refused:  # nobody listens at the redirect URI
        browser.go_ahead(email=OWNER, password="any")
    browser.close()
    assert refused.value.request is not None
    (code,) = parse_qs(urlsplit(str(refused.value.request.url)).query)["code"]
    client, peer = (
        Client("website", Secret("secret-of-website")),
        provider(node.token_url, client_auth="client_secret_basic"),
    )

    def redeem(verifier: str) -> TokenOutcome:
        return endpoint.redeem(
            build_token_request(peer, None, client),
            code=Secret(code),
            code_verifier=Secret(verifier),
            redirect_uri=redirect_uri,
        )

    outcome = refreshed(redeem(VERIFIER))
    assert outcome.refresh_token is not None
    assert outcome.id_token is not None
    assert outcome.scope is not None
    assert set(outcome.scope.split()) == {"openid", "offline_access", "email"}
    facts = endpoint.fetch_json(peer, node.userinfo_url, outcome.access_token)
    assert facts is not None
    assert facts["email"] == OWNER
    assert isinstance(redeem(VERIFIER), GrantDead)


@pytest.mark.parametrize("auth", ["client_secret_post", "client_secret_basic"])
def test_django_refreshes_and_rotates(django: AuthorizationServer, endpoint: Exchange, auth: str) -> None:
    registered = django.create_client(f"django-{auth}", rotates_refresh_tokens=True)
    client = Client(registered.client_id, Secret(registered.client_secret))
    first = django.create_grant(registered.client_id, OWNER)
    outcome = refreshed(refresh(endpoint, provider(django.token_url, client_auth=auth), client, first))
    assert outcome.refresh_token is not None
    assert django.is_alive(outcome.refresh_token.reveal())


def test_django_tells_a_wrong_client_from_a_dead_grant(django: AuthorizationServer, endpoint: Exchange) -> None:
    registered = django.create_client("whose-fault")
    grant, peer = django.create_grant("whose-fault", OWNER), provider(django.token_url)
    wrong = refresh(endpoint, peer, Client("whose-fault", Secret("wrong-secret")), grant)
    assert isinstance(wrong, ClientRejected)
    assert wrong.reason == "invalid_client"
    django.revoke(grant)
    dead = refresh(endpoint, peer, Client("whose-fault", Secret(registered.client_secret)), grant)
    assert isinstance(dead, GrantDead)
    assert dead.reason == "revoked_or_expired"
