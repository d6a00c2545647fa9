"""One exchange, with a scripted transport: what is sent, how often, and what becomes of the answer."""

from __future__ import annotations

import base64
import json

import pytest
from jwcrypto.jwk import JWK

from tests.fakes.token_requests import build_token_request
from tests.worlds.exchanges import (
    CLIENT,
    EC_384_KEY,
    EC_KEY,
    GRANT,
    NOW,
    RSA_KEY,
    TOKEN,
    URL,
    Script,
    claims_of,
    endpoint,
    provider,
    refresh,
    reply,
)
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.errors import NotSent, ReplyLost, TransportError


def test_a_refresh_sends_one_request_and_returns_the_new_tokens() -> None:
    script = Script(TOKEN)
    assert refresh(script) == Refreshed(
        Secret("new-access-token"), int(NOW) + 60, refresh_token=Secret("new-refresh-token")
    )
    assert script.form() == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-token-1234",
        "client_id": "client",
        "client_secret": "client-secret-1234",
    }


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (NotSent("no connection to a.example"), Unavailable("not_sent")),
        (ReplyLost("no complete reply from a.example"), UnknownOutcome("reply_lost")),
    ],
)
def test_a_transport_that_fails_is_an_outcome_and_nothing_is_tried_again(
    fault: TransportError, outcome: TokenOutcome
) -> None:
    script = Script(fault)
    assert refresh(script) == outcome
    assert len(script.sent) == 1


@pytest.mark.parametrize("client_auth", ["client_secret_post", "client_secret_basic", "none", "private_key_jwt"])
def test_every_secret_that_was_sent_is_masked_in_an_error(client_auth: str) -> None:
    client = Client("client", Secret("client-secret-1234"), RSA_KEY)
    echo: list[str] = []

    class Echo(Script):
        def send(self, request: HttpRequest) -> HttpReply:
            self.sent.append(request)
            echo.append(request.body.decode() + str(dict(request.headers)) + json.dumps(self.form()))
            return reply(400, {"error": "invalid_grant", "error_description": echo[0][:200] + echo[0][-250:]})

    outcome = refresh(Echo(), client=client, client_auth=client_auth)
    assert isinstance(outcome, GrantDead)
    assert "refresh-token-1234" in echo[0]
    credentials = base64.b64encode(b"client:client-secret-1234").decode()
    for secret in ("refresh-token-1234", "client-secret-1234", credentials):
        assert secret not in repr(outcome)


def test_the_payloads_own_client_outranks_the_registered_one() -> None:
    script = Script(TOKEN)
    refresh(script, RefreshTokenGrant(Secret("r"), client=Client("own", Secret("secret"))))
    assert script.form()["client_id"] == "own"


def test_variables_come_from_annotation_registration_and_callback() -> None:
    script = Script(TOKEN)
    request = build_token_request(
        provider(
            token_url="https://{shop}.shops.{domain}/{tenant}/token",
            variables={"shop": "", "domain": "example.com", "tenant": "common"},
            token_params={"tenant": "{tenant}"},
            keep=["realmId", "other"],
            learned={"realmId": "*"},
        ),
        RefreshTokenGrant(Secret("r-1234"), variables={"realmId": "7", "other": "8"}),
        Client("client", Secret("secret"), variables={"domain": "example.org", "shop": "registered"}),
        variables={"tenant": "acme"},
    )
    outcome = endpoint(script).refresh(request)
    assert script.sent[0].url == "https://registered.shops.example.org/acme/token"
    assert script.form()["tenant"] == "acme"
    assert isinstance(outcome, Refreshed)
    assert outcome.extra == {"realmId": "7"}


@pytest.mark.parametrize(
    ("grant", "client", "said", "scope"),
    [
        pytest.param(RefreshTokenGrant(Secret("r-1"), scope="a  b"), CLIENT, None, "a b", id="payload"),
        pytest.param(RefreshTokenGrant(Secret("r-1"), scope="a b"), CLIENT, "a", "a", id="reply"),
        pytest.param(RefreshTokenGrant(Secret("r-1")), CLIENT, None, None, id="unknown"),
        pytest.param(ClientCredentialsGrant(CLIENT), None, None, "asked", id="client"),
        pytest.param(ServiceAccountGrant("robot@project.example", RSA_KEY), None, None, "asked", id="service-account"),
    ],
)
def test_a_reply_without_a_scope_grants_what_was_asked_for(
    grant: Grant, client: Client | None, said: str | None, scope: str | None
) -> None:
    script = Script(reply(200, {"access_token": "at-1", **({"scope": said} if said else {})}))
    outcome = refresh(script, grant, client, scopes=("asked",))
    assert isinstance(outcome, Refreshed)
    assert outcome.scope == scope


def test_client_credentials_need_no_owner() -> None:
    script = Script(TOKEN, reply(400, {"error": "invalid_grant"}))
    grant = ClientCredentialsGrant(Client("robot", Secret("secret")))
    assert isinstance(refresh(script, grant, None, scopes=("a", "b")), Refreshed)
    assert script.form() == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "client_id": "robot",
        "client_secret": "secret",
    }
    assert isinstance(refresh(script, grant, None), ClientRejected)


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param(ClientCredentialsGrant(Client("robot", Secret("secret"))), id="client"),
        pytest.param(ServiceAccountGrant("robot@project.example", RSA_KEY), id="service-account"),
    ],
)
def test_a_refresh_token_that_nobody_granted_is_not_kept(grant: Grant) -> None:
    script = Script(reply(200, {"access_token": "at-1", "refresh_token": "unasked-1"}))
    outcome = refresh(script, grant, None, scopes=("a",))
    assert isinstance(outcome, Refreshed)
    assert outcome.refresh_token is None


@pytest.mark.parametrize("subject", [None, "ada@example.com"])
def test_a_service_account_asserts_itself_or_a_user_at_the_providers_token_url(subject: str | None) -> None:
    script = Script(TOKEN)
    grant = ServiceAccountGrant("robot@project.example", RSA_KEY, "key-1", subjects=("ada@example.com",))
    outcome = refresh(script, grant, None, scopes=("a", "b"), subject=subject)
    assert isinstance(outcome, Refreshed)
    form = script.form()
    assert set(form) == {"grant_type", "assertion"}
    header, claims = claims_of(form["assertion"], RSA_KEY, "RS256")
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    expected = {"iss": "robot@project.example", "scope": "a b", "aud": URL, "iat": int(NOW), "exp": int(NOW) + 3600}
    assert claims == (expected if subject is None else {**expected, "sub": subject})


def test_a_service_accounts_refusal_names_what_is_wrong_with_it() -> None:
    body = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    outcome = refresh(Script(reply(400, body)), ServiceAccountGrant("r@p", RSA_KEY), None, scopes=("a",))
    assert isinstance(outcome, ClientRejected)
    assert outcome.reason == "disabled_key"


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256"), (EC_384_KEY, "ES384")])
def test_private_key_jwt_is_signed_for_the_token_url(key: Secret, algorithm: str) -> None:
    script = Script(TOKEN, TOKEN)
    for _ in range(2):
        refresh(script, client=Client("client", None, key, "key-1"), client_auth="private_key_jwt")
    header, claims = claims_of(script.form(0)["client_assertion"], key, algorithm)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": "key-1"}
    again = claims_of(script.form(1)["client_assertion"], key, algorithm)[1]
    assert claims.pop("jti") != again["jti"]
    assert claims == {"iss": "client", "sub": "client", "aud": URL, "iat": int(NOW), "exp": int(NOW) + 300}


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256"), (EC_384_KEY, "ES384")])
def test_a_dpop_key_proves_its_possession(key: Secret, algorithm: str) -> None:
    script = Script(TOKEN)
    refresh(script, client=Client("client", Secret("secret"), dpop_private_key=key))
    header, claims = claims_of(script.sent[0].headers["DPoP"], key, algorithm)
    assert header["typ"] == "dpop+jwt"
    assert JWK(**header["jwk"]).thumbprint() == JWK.from_pem(key.reveal().encode()).thumbprint()
    assert "d" not in header["jwk"]
    assert (claims["htm"], claims["htu"], claims["iat"]) == ("POST", URL, int(NOW))
    assert "nonce" not in claims


def test_a_nonce_that_the_server_asks_for_is_sent_once_more_and_remembered() -> None:
    wants = reply(400, {"error": "use_dpop_nonce"}, dpop_nonce="n-1")
    fine = reply(200, {"access_token": "t"}, dpop_nonce="n-2")
    script = Script(wants, fine, TOKEN)
    tokens = endpoint(script)
    client = Client("client", Secret("secret"), dpop_private_key=EC_KEY)
    for _ in range(2):
        tokens.refresh(build_token_request(provider(), GRANT, client))
    proofs = [claims_of(request.headers["DPoP"], EC_KEY, "ES256")[1] for request in script.sent]
    assert [proof.get("nonce") for proof in proofs] == [None, "n-1", "n-2"]
    assert len({proof["jti"] for proof in proofs}) == 3


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([reply(400, {"error": "use_dpop_nonce"}, dpop_nonce="n")] * 2, id="asks for ever"),
        pytest.param([reply(400, {"error": "use_dpop_nonce"})], id="gives none"),
    ],
)
def test_a_server_that_is_never_content_with_a_nonce_is_left_for_later(answers: list[HttpReply]) -> None:
    script = Script(*answers)
    outcome = refresh(script, client=Client("client", Secret("secret"), dpop_private_key=EC_KEY))
    assert isinstance(outcome, Unavailable)
    assert script.answers == []
