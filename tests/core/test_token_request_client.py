"""What an access token is asked for with: where the request goes, and which client it names (contract 2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from token_refresh.core.connection import Connection, SecretRecord
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_request import TokenRequest, subject_of
from token_refresh.errors import Misconfigured

TOKEN_URL, REFRESH_URL = "https://a.example/token", "https://a.example/refresh"
CONNECTION = Connection("alice", SecretRecord("alice-refresh-token", {}, {}, "etag"), client_secret_id="oauth-client-p")
OWN, REGISTERED = Client("own", Secret("own")), Client("registered", Secret("registered"))
KEY = ServiceAccountGrant("robot@project.example", Secret("key"))


def asked(grant: Grant | None, registration: Client | None = REGISTERED) -> TokenRequest:
    return TokenRequest(CONNECTION, Provider("p", TOKEN_URL, REFRESH_URL), grant, registration)


@pytest.mark.parametrize(
    ("asked_for", "endpoint", "client", "has_own_client"),
    [
        pytest.param(asked(RefreshTokenGrant(Secret("r"))), REFRESH_URL, REGISTERED, False, id="a-refresh"),
        pytest.param(
            asked(RefreshTokenGrant(Secret("r"), client=OWN)), REFRESH_URL, OWN, True, id="a-refresh-of-its-own"
        ),
        pytest.param(asked(RefreshTokenGrant(Secret("r")), None), REFRESH_URL, None, False, id="a-refresh-of-nobody"),
        pytest.param(asked(ClientCredentialsGrant(OWN)), TOKEN_URL, OWN, True, id="client-credentials"),
        pytest.param(asked(KEY), TOKEN_URL, None, False, id="a-key-needs-no-client"),
        pytest.param(asked(None), TOKEN_URL, REGISTERED, False, id="a-code-is-redeemed"),
    ],
)
def test_a_request_goes_to_the_endpoint_of_its_grant_with_the_client_of_its_payload_first(
    asked_for: TokenRequest, endpoint: str, client: Client | None, *, has_own_client: bool
) -> None:
    assert (asked_for.endpoint, asked_for.client, asked_for.has_own_client) == (endpoint, client, has_own_client)


@pytest.mark.parametrize(
    ("grant", "scope"),
    [
        pytest.param(RefreshTokenGrant(Secret("r"), scope=" a  b"), "a b", id="a-refresh"),
        pytest.param(RefreshTokenGrant(Secret("r")), None, id="a-refresh-of-a-bare-token"),
        pytest.param(ClientCredentialsGrant(OWN), "asked for", id="client-credentials"),
        pytest.param(KEY, "asked for", id="a-key"),
    ],
)
def test_a_reply_without_a_scope_grants_what_the_grant_has_or_what_is_asked_for(
    grant: Grant, scope: str | None
) -> None:
    request = replace(asked(grant), connection=replace(CONNECTION, scopes=("asked", "for")))
    assert request.scope == scope
    assert replace(request, connection=CONNECTION).scope == (scope if isinstance(grant, RefreshTokenGrant) else None)


@pytest.mark.parametrize(
    ("annotated", "grant", "subject"),
    [
        pytest.param("7", RefreshTokenGrant(Secret("r"), sub="8"), "7", id="the-annotation-counts-first"),
        pytest.param(None, RefreshTokenGrant(Secret("r"), sub="8"), "8", id="then-the-payload"),
        pytest.param(None, RefreshTokenGrant(Secret("r")), None, id="neither-says"),
        pytest.param(None, KEY, None, id="a-key-has-no-account"),
        pytest.param(None, None, None, id="nothing-is-stored"),
    ],
)
def test_the_account_on_record_is_the_annotation_s_or_the_payload_s(
    annotated: str | None, grant: Grant | None, subject: str | None
) -> None:
    assert subject_of(replace(CONNECTION, subject=annotated), grant) == subject


def test_who_needs_a_client_is_told_where_to_store_one() -> None:
    assert asked(None).require_client() == REGISTERED
    with pytest.raises(Misconfigured, match="alice has no client registration: store one in oauth-client-p"):
        asked(None, None).require_client()
