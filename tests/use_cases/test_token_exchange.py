"""One exchange, with a scripted transport: what is sent, how often, and what becomes of the answer."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from tests.fakes.token_requests import build_token_request
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured, NotSent, ReplyLost, TransportError
from token_refresh.token_endpoint.exchange import Exchange

NOW = 1_800_000_000.5
URL = "https://a.example/token"
CLIENT = Client("client", Secret("client-secret-1234"))
GRANT = RefreshTokenGrant(Secret("refresh-token-1234"))


def pem(key: Any) -> Secret:
    return Secret(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    )


RSA_KEY = pem(rsa.generate_private_key(65537, 2048))
EC_KEY = pem(ec.generate_private_key(ec.SECP256R1()))
EC_384_KEY = pem(ec.generate_private_key(ec.SECP384R1()))


class Script:
    """A transport that answers from a list and remembers what was sent."""

    def __init__(self, *answers: HttpReply | TransportError) -> None:
        self.answers = list(answers)
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpReply:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def form(self, number: int = 0) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.sent[number].body.decode()).items()}


def reply(status: int, body: object, **headers: str) -> HttpReply:
    return HttpReply(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


TOKEN = reply(200, {"access_token": "new-access-token", "expires_in": 60, "refresh_token": "new-refresh-token"})


def provider(**keys: Any) -> Provider:
    return parse_providers({"p": {"token_url": URL, **keys}})["p"]


def endpoint(script: Script) -> Exchange:
    return Exchange(script, KeySigner(), lambda: NOW)


def refresh(  # noqa: PLR0913 - all that a refresh may need
    script: Script,
    grant: Grant = GRANT,
    client: Client | None = CLIENT,
    *,
    variables: dict[str, str] | None = None,
    scopes: tuple[str, ...] = (),
    subject: str | None = None,
    **keys: Any,
) -> TokenOutcome:
    return endpoint(script).refresh(
        build_token_request(provider(**keys), grant, client, variables=variables, scopes=scopes, owner=subject)
    )


def claims_of(token: str, key: Secret, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verify with a library that had no part in the signing."""
    jwt = JWT(jwt=token, key=JWK.from_pem(key.reveal().encode()), algs=[algorithm], check_claims={})
    return json.loads(jwt.header), json.loads(jwt.claims)


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


FAULTS: dict[str, tuple[TokenRequest, str]] = {
    "no client": (build_token_request(provider(), GRANT), "no client registration"),
    "no secret": (build_token_request(provider(), GRANT, Client("c")), 'of c: provider p needs "client_secret"'),
    "no secret for a header": (
        build_token_request(
            provider(client_auth="none", headers={"Authorization": "Bearer {client_secret}"}), GRANT, Client("c")
        ),
        'needs "client_secret"',
    ),
    "a secret that breaks headers": (
        build_token_request(
            provider(client_auth="none", headers={"Authorization": "Bearer {client_secret}"}),
            GRANT,
            Client("c", Secret("canary\n")),
        ),
        "client_secret has characters that cannot stand in a header",
    ),
    "no key": (
        build_token_request(provider(client_auth="private_key_jwt"), GRANT, CLIENT),
        'of client: provider p needs "private_key"',
    ),
    "a key that is none": (
        build_token_request(
            provider(client_auth="private_key_jwt"), GRANT, Client("c", private_key=Secret("-----BEGIN canary"))
        ),
        "client registration of c: private_key is not an RSA or EC",
    ),
    "a key of another kind": (
        build_token_request(
            provider(), GRANT, Client("c", Secret("s"), dpop_private_key=pem(ed25519.Ed25519PrivateKey.generate()))
        ),
        "dpop_private_key is not an RSA or EC",
    ),
    "a client id that breaks headers": (
        build_token_request(provider(), GRANT, Client("c\r\nX: canary", Secret("s"))),
        "client_id has characters",
    ),
    "a service account's key": (
        build_token_request(provider(), ServiceAccountGrant("a@b", Secret("canary")), scopes=("a",)),
        "the service account's private_key is not an RSA",
    ),
    "a service account without scopes": (
        build_token_request(provider(), ServiceAccountGrant("a@b", RSA_KEY)),
        "a service account needs token-refresh.scopes",
    ),
    "an unknown variable": (
        build_token_request(provider(), GRANT, CLIENT, variables={"tennant": "a"}),
        "token-refresh.variables: provider p has no variable tennant",
    ),
    "a bad variable": (
        build_token_request(
            provider(token_url="https://a.example/{t}", variables={"t": ""}),
            GRANT,
            CLIENT,
            variables={"t": "../canary"},
        ),
        "the value of variable t is not of the form",
    ),
    "a missing variable": (
        build_token_request(provider(token_url="https://a.example/{t}", variables={"t": ""}), GRANT, CLIENT),
        "variable t has no value",
    ),
    "a missing variable of the refresh url": (
        build_token_request(provider(refresh_url="https://a.example/{t}", variables={"t": ""}), GRANT, CLIENT),
        "variable t has no value",
    ),
    "no grant": (build_token_request(provider(), None, CLIENT), "connection some has no grant"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_can_be_found_before_sending_is_found_before_sending(name: str) -> None:
    request, message = FAULTS[name]
    script = Script()
    with pytest.raises(Misconfigured, match=r".") as caught:
        endpoint(script).refresh(request)
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)
    assert script.sent == []


def test_a_client_without_its_secret_redeems_no_code() -> None:
    script = Script()
    with pytest.raises(Misconfigured, match='needs "client_secret"'):
        redeem(script, provider(), Client("c"))
    assert script.sent == []


def redeem(script: Script, provider: Provider, client: Client, verifier: Secret | None = None) -> TokenOutcome:
    return endpoint(script).redeem(
        build_token_request(provider, None, client),
        code=Secret("code-1234"),
        code_verifier=verifier,
        redirect_uri="https://us.example/callback",
    )


def test_a_code_is_redeemed_with_its_verifier() -> None:
    script = Script(TOKEN)
    outcome = redeem(script, provider(refresh_url="https://a.example/refresh"), CLIENT, Secret("verifier-1234"))
    assert isinstance(outcome, Refreshed)
    assert outcome.refresh_token == Secret("new-refresh-token")
    assert script.sent[0].url == URL
    assert script.form() == {
        "grant_type": "authorization_code",
        "code": "code-1234",
        "code_verifier": "verifier-1234",
        "redirect_uri": "https://us.example/callback",
        "client_id": "client",
        "client_secret": "client-secret-1234",
    }


def test_a_spent_code_is_a_dead_grant() -> None:
    spent = reply(400, {"error": "invalid_grant", "error_description": "code-1234 is spent"})
    outcome = redeem(Script(spent), provider(), CLIENT)
    assert isinstance(outcome, GrantDead)
    assert outcome.detail.error_description == "*** is spent"


def test_where_the_token_reply_tells_the_account_a_redemption_keeps_it() -> None:
    body = {"access_token": "t", "user": {"id": 7, "login": "ada"}, "email": "ada@example.com"}
    for path, extra in (
        ("user.id", {"user.id": 7, "user": {"id": 7, "login": "ada"}}),
        ("user", {"user": {"id": 7, "login": "ada"}, "email": "ada@example.com"}),
    ):
        outcome = redeem(Script(reply(200, body)), provider(subject={"from": "token_response", "path": path}), CLIENT)
        assert isinstance(outcome, Refreshed)
        assert {name: value for name, value in outcome.extra.items() if name in extra} == extra


@pytest.mark.parametrize(
    ("answer", "facts"),
    [(reply(200, {"sub": "7"}), {"sub": "7"}), (reply(401, {"sub": "7"}), None), (reply(200, []), None)],
)
def test_userinfo_is_fetched_as_the_owner(answer: HttpReply, facts: object) -> None:
    script = Script(answer)
    p = provider(headers={"User-Agent": "app", "X-Key": "{client_secret}"})
    assert endpoint(script).fetch_json(p, "https://a.example/me", Secret("token-1234")) == facts
    assert script.sent[0].method == "GET"
    assert script.sent[0].headers == {
        "Accept": "application/json",
        "User-Agent": "app",
        "Authorization": "Bearer token-1234",
    }
