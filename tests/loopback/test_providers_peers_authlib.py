"""Exchanges with a third authorization server that nobody here wrote, Authlib's, and revocations at all three."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import pytest

from infra.local.authorization_server import AuthorizationServer
from tests.fakes.token_requests import build_token_request
from tests.peers.authlib_server import LIFE, AuthlibServer
from tests.peers.exchanges import CHALLENGE, ODD_SECRET, OWNER, VERIFIER, needs_node, provider, refresh, refreshed
from token_refresh.adapters.http import PooledTransport
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, ClientCredentialsGrant, RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import ClientRejected, GrantDead
from token_refresh.core.token_endpoint.revocation import NotRevoked, Revocation, Revoked
from token_refresh.token_endpoint.revocation import Revoker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.oidc_provider import OidcProvider
    from token_refresh.token_endpoint.exchange import Exchange


pytestmark = pytest.mark.timeout(360)
SECRET = "secret-of-client-1234"


class Peer(Protocol):
    """What revoking needs of a server."""

    @property
    def token_url(self) -> str: ...

    @property
    def revocation_url(self) -> str: ...


@pytest.fixture
def authlib() -> Iterator[AuthlibServer]:
    with AuthlibServer() as peer:
        yield peer


@pytest.fixture
def revoker() -> Iterator[Revoker]:
    transport = PooledTransport(10)
    yield Revoker(transport, KeySigner(), time.time)
    transport.close()


@pytest.mark.parametrize(
    ("auth", "secret"), [("client_secret_basic", ODD_SECRET), ("client_secret_post", ODD_SECRET), ("none", "")]
)
def test_authlib_rotates_and_calls_a_second_use_dead(
    authlib: AuthlibServer, endpoint: Exchange, auth: str, secret: str
) -> None:
    authlib.create_client("c", secret, auth=auth)
    client, peer = Client("c", Secret(secret) if secret else None), provider(authlib.token_url, client_auth=auth)
    first = authlib.create_grant("c", OWNER)
    outcome = refreshed(refresh(endpoint, peer, client, first))
    assert outcome.refresh_token is not None
    assert authlib.is_alive(outcome.refresh_token.reveal())
    assert not authlib.is_alive(first)
    assert outcome.expires_at - time.time() == pytest.approx(LIFE, abs=5)
    assert outcome.scope == "mail offline"
    again = refresh(endpoint, peer, client, first)
    assert isinstance(again, GrantDead)
    assert again.reason == "revoked_or_expired"
    refreshed(refresh(endpoint, peer, client, outcome.refresh_token.reveal()))


def test_authlib_refuses_a_wrong_client_and_spends_nothing(authlib: AuthlibServer, endpoint: Exchange) -> None:
    authlib.create_client("c", SECRET, auth="client_secret_post")
    authlib.create_client("thief", SECRET, auth="client_secret_post")
    grant, peer = authlib.create_grant("c", OWNER), provider(authlib.token_url)
    wrong = refresh(endpoint, peer, Client("c", Secret("wrong-secret")), grant)
    assert isinstance(wrong, ClientRejected)
    assert wrong.reason == "invalid_client"
    assert isinstance(refresh(endpoint, peer, Client("thief", Secret(SECRET)), grant), GrantDead)
    assert authlib.is_alive(grant)


def test_authlib_redeems_a_code_once_with_its_verifier(authlib: AuthlibServer, endpoint: Exchange) -> None:
    authlib.create_client("c", SECRET, auth="client_secret_post")
    code = Secret(authlib.create_code("c", OWNER, CHALLENGE))
    request = build_token_request(provider(authlib.token_url), None, Client("c", Secret(SECRET)))
    where = authlib.clients["c"].redirect_uri

    def redeem(verifier: str) -> object:
        return endpoint.redeem(request, code=code, code_verifier=Secret(verifier), redirect_uri=where)

    assert isinstance(redeem("w" * 43), GrantDead)
    outcome = redeem(VERIFIER)
    assert getattr(outcome, "refresh_token", None) is not None
    assert isinstance(redeem(VERIFIER), GrantDead)


def test_authlib_grants_client_credentials(authlib: AuthlibServer, endpoint: Exchange) -> None:
    authlib.create_client("m", SECRET, auth="client_secret_basic", grant_types=("client_credentials",))
    client = Client("m", Secret(SECRET))
    peer = provider(authlib.token_url, client_auth="client_secret_basic")
    outcome = refreshed(refresh(endpoint, peer, client, ClientCredentialsGrant(client)))
    assert outcome.refresh_token is None


def revoke(
    revoker: Revoker, peer: Peer, client: Client, refresh_token: str, access: Secret | None = None, **keys: str
) -> Revocation:
    definition = provider(peer.token_url, revocation_url=peer.revocation_url, **keys)
    request = build_token_request(definition, RefreshTokenGrant(Secret(refresh_token)), client)
    return revoker.revoke(request, access_token=access)


def test_authlib_confirms_a_revocation_of_both_tokens(
    authlib: AuthlibServer, endpoint: Exchange, revoker: Revoker
) -> None:
    authlib.create_client("c", SECRET, auth="client_secret_post")
    client = Client("c", Secret(SECRET))
    outcome = refreshed(refresh(endpoint, provider(authlib.token_url), client, authlib.create_grant("c", OWNER)))
    assert outcome.refresh_token is not None
    token = outcome.refresh_token.reveal()
    assert revoke(revoker, authlib, client, token, outcome.access_token) == Revoked()
    assert not authlib.is_alive(token)
    assert not authlib.is_alive(outcome.access_token.reveal())
    assert isinstance(refresh(endpoint, provider(authlib.token_url), client, token), GrantDead)
    # RFC 7009, section 2.2: what is gone already is as good as revoked.
    assert revoke(revoker, authlib, client, token, outcome.access_token) == Revoked()


def test_authlib_does_not_revoke_another_clients_grant(authlib: AuthlibServer, revoker: Revoker) -> None:
    authlib.create_client("c", SECRET, auth="client_secret_post")
    authlib.create_client("thief", SECRET, auth="client_secret_post")
    grant = authlib.create_grant("c", OWNER)
    outcome = revoke(revoker, authlib, Client("thief", Secret(SECRET)), grant)
    assert isinstance(outcome, NotRevoked)
    wrong = revoke(revoker, authlib, Client("c", Secret("wrong-secret")), grant)
    assert isinstance(wrong, NotRevoked)
    assert wrong.reason == "invalid_client"
    assert authlib.is_alive(grant)


@needs_node
@pytest.mark.parametrize("auth", ["client_secret_post", "client_secret_basic"])
def test_node_confirms_a_revocation(node: OidcProvider, endpoint: Exchange, revoker: Revoker, auth: str) -> None:
    name = f"revoked-{auth}"
    node.create_client(name, SECRET, auth=auth)
    client, peer = Client(name, Secret(SECRET)), provider(node.token_url, client_auth=auth)
    outcome = refreshed(refresh(endpoint, peer, client, node.create_grant(name, OWNER)))
    assert outcome.refresh_token is not None
    token = outcome.refresh_token.reveal()
    assert isinstance(revoke(revoker, node, client, token, outcome.access_token, client_auth=auth), Revoked)
    assert not node.is_alive(token)
    assert isinstance(refresh(endpoint, peer, client, token), GrantDead)


def test_django_confirms_a_revocation(django: AuthorizationServer, endpoint: Exchange, revoker: Revoker) -> None:
    registered = django.create_client("revoked", rotates_refresh_tokens=True)
    client, peer = Client("revoked", Secret(registered.client_secret)), provider(django.token_url)
    outcome = refreshed(refresh(endpoint, peer, client, django.create_grant("revoked", OWNER)))
    assert outcome.refresh_token is not None
    token = outcome.refresh_token.reveal()
    assert isinstance(revoke(revoker, django, client, token, outcome.access_token), Revoked)
    assert not django.is_alive(token)
    assert isinstance(refresh(endpoint, peer, client, token), GrantDead)
