"""`risc` against an issuer that signs real tokens with real keys: every refusal, and what is published."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from flask import Flask, request

import main
from tests.worlds.issuer import KEYS, Issuer, serve_keys
from tests.worlds.risc_receiver import ISSUER, OAUTH, RiscWorld
from token_refresh import wiring
from token_refresh.settings import Settings

RISC = "https://schemas.openid.net/secevent/risc/event-type/"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serve_keys() as server:
        yield server


@pytest.fixture
def world(issuer: Issuer) -> RiscWorld:
    return RiscWorld(issuer)


def test_a_signed_token_becomes_a_signal_on_the_refresh_topic(world: RiscWorld) -> None:
    answer = world.post(world.token())
    assert (answer.status_code, answer.get_data()) == (202, b"")
    assert world.publisher.refresh_requests == [{"signals": [{"iss": ISSUER, "sub": "alice-1"}]}]


@pytest.mark.parametrize("kind", [f"{RISC}account-disabled", f"{RISC}sessions-revoked"])
def test_events_about_an_account_name_it(world: RiscWorld, kind: str) -> None:
    world.post(world.token({kind: {"subject": {"iss": f"{ISSUER}/", "sub": "bob-2"}, "reason": "hijacking"}}))
    assert world.publisher.refresh_requests == [{"signals": [{"iss": ISSUER, "sub": "bob-2"}]}]


def test_an_event_about_a_token_names_it_by_prefix_or_by_hash(world: RiscWorld) -> None:
    token = "1//0g-canary-refresh-token"
    twice = base64.b64encode(hashlib.sha512(hashlib.sha512(token.encode()).digest()).digest()).decode()
    for algorithm, value in (("prefix", token[:16]), ("hash_base64_sha512_sha512", twice)):
        subject = {"subject_type": "oauth_token", "token_type": "refresh_token", "token": value}
        world.post(world.token({f"{OAUTH}token-revoked": {"subject": {**subject, "token_identifier_alg": algorithm}}}))
    assert world.publisher.refresh_requests == [
        {"signals": [{"iss": ISSUER, "prefix": token[:16]}]},
        {"signals": [{"iss": ISSUER, "sha512": twice}]},
    ]


def test_a_verification_is_acknowledged_and_asks_for_nothing(world: RiscWorld) -> None:
    for _ in range(2):
        assert world.post(world.token({f"{RISC}verification": {"state": "hello"}}, jti="v")).status_code == 202
    assert world.publisher.refresh_requests == []


def test_a_token_may_be_of_any_age(world: RiscWorld) -> None:
    for changes in ({"iat": 1}, {"iat": 9_999_999_999}, {"exp": 1}, {"nbf": 9_999_999_999}):
        assert world.post(world.token(**changes)).status_code == 202
    assert len(world.publisher.refresh_requests) == 4


def test_a_token_seen_in_the_last_day_is_acknowledged_and_dropped(world: RiscWorld) -> None:
    token = world.token()
    for _ in range(3):
        assert world.post(token).status_code == 202
    assert len(world.publisher.refresh_requests) == 1
    world.clock.advance(86_401)
    assert world.post(token).status_code == 202
    assert len(world.publisher.refresh_requests) == 2


def test_a_token_that_could_not_be_published_is_to_be_sent_again(world: RiscWorld) -> None:
    token = world.token()
    world.publisher.down = True
    answer = world.post(token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    world.publisher.down = False
    assert world.post(token).status_code == 202
    assert len(world.publisher.refresh_requests) == 1


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_signature_by_another_key_is_refused(world: RiscWorld) -> None:
    assert world.refused(world.token(key=KEYS[1])) == "invalid_key"


def test_a_token_that_was_changed_is_refused(world: RiscWorld) -> None:
    head, body, signature = world.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["events"][f"{OAUTH}tokens-revoked"]["subject"]["sub"] = "victim"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert world.refused(f"{head}.{forged}.{signature}") == "invalid_key"


def unsigned(world: RiscWorld, header: dict[str, object]) -> str:
    body = world.token().split(".")[1]
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b'=').decode()}.{body}"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_a_token_without_a_signature_is_refused(world: RiscWorld, algorithm: str) -> None:
    assert world.refused(unsigned(world, {"alg": algorithm, "kid": "k0"}) + ".") == "invalid_key"


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key_is_not_taken_for_a_secret(world: RiscWorld, form: str) -> None:
    public = KEYS[0].public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if form == "jwk":
        secret = json.dumps(json.loads(world.issuer.jwks())["keys"][0]).encode()
    signed = unsigned(world, {"alg": "HS256", "kid": "k0"})
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
    assert world.refused(f"{signed}.{mac}") == "invalid_key"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_no_other_algorithm_is_taken(world: RiscWorld, algorithm: str) -> None:
    claims = {"iss": ISSUER, "aud": "client-1", "jti": "x", "events": {"a": 1}}
    assert world.refused(jwt.encode(claims, KEYS[0], algorithm, {"kid": "k0"})) == "invalid_key"


@pytest.mark.parametrize("kid", [None, "", "unknown", 7, ["k0"]])
def test_a_key_that_is_not_named_or_not_known_is_refused(world: RiscWorld, kid: object) -> None:
    signed = unsigned(world, {"alg": "RS256", "kid": kid})
    assert world.refused(f"{signed}.c2ln") in ("invalid_key", "invalid_request")


@pytest.mark.parametrize("header", [{"jku": "http://127.0.0.1:1/evil"}, {"x5u": "http://127.0.0.1:1/"}, {"jwk": {}}])
def test_a_token_does_not_bring_its_own_keys(world: RiscWorld, header: dict[str, object]) -> None:
    assert world.refused(world.token(key=KEYS[1], headers=header)) == "invalid_key"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://evil.example"}, "invalid_issuer"),
        ({"iss": ...}, "invalid_issuer"),
        ({"aud": ["somebody-else"]}, "invalid_audience"),
        ({"aud": ...}, "invalid_audience"),
        ({"jti": ...}, "invalid_request"),
        ({"events": ...}, "invalid_request"),
        ({"events": {f"{OAUTH}tokens-revoked": {}}}, "invalid_request"),
    ],
)
def test_a_token_for_somebody_else_or_of_another_kind_is_refused(
    world: RiscWorld, changes: dict[str, Any], code: str
) -> None:
    assert world.refused(world.token(**changes)) == code


@pytest.mark.parametrize("body", ["", "{}", "a.b.c", "[1].[2].[3]", b"\xff\xfe", "eyJhbGciOiJSUzI1NiJ9.e30."])
def test_what_is_no_token_is_refused(world: RiscWorld, body: str | bytes) -> None:
    assert world.refused(body) in ("invalid_request", "invalid_key")


def test_at_most_a_mebibyte_is_read(world: RiscWorld) -> None:
    assert world.refused(world.token(padding="x" * 1_100_000)) == "invalid_request"
    assert world.post(world.token(padding="x" * 500_000)).status_code == 202


def test_only_post_is_taken(world: RiscWorld) -> None:
    answer = world.client.get("/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


# -- keys ------------------------------------------------------------------------------------------------------------


def test_keys_are_read_once_and_again_for_a_new_one(world: RiscWorld) -> None:
    for _ in range(3):
        world.post(world.token())
    assert world.issuer.reads == 1
    world.issuer.published = {"k0": KEYS[0], "k1": KEYS[1]}
    assert world.post(world.token(key=KEYS[1], headers={"kid": "k1"})).status_code == 202
    assert world.issuer.reads == 2
    world.issuer.published = {"k2": KEYS[2]}
    assert world.post(world.token(key=KEYS[2], headers={"kid": "k2"})).status_code == 202


def test_a_flood_of_made_up_keys_reads_the_issuers_keys_a_few_times_only(world: RiscWorld) -> None:
    for number in range(50):
        assert world.refused(world.token(headers={"kid": f"made-up-{number}"})) == "invalid_key"
    assert world.issuer.reads <= 11
    world.clock.advance(61)
    world.issuer.published["k1"] = KEYS[1]
    assert world.post(world.token(key=KEYS[1], headers={"kid": "k1"})).status_code == 202


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b'{"keys": []}', b"[]", b'{"keys": 7}'])
def test_keys_that_cannot_be_read_are_no_refusal(world: RiscWorld, body: bytes) -> None:
    world.issuer.body = body
    assert world.post(world.token()).status_code == 503
    world.issuer.body = None
    assert world.post(world.token()).status_code == 202


def test_an_issuer_that_cannot_be_reached_is_no_refusal(issuer: Issuer) -> None:
    world = RiscWorld(issuer)
    issuer.cuts = True
    assert world.post(world.token()).status_code == 503
    issuer.cuts = False
    assert world.post(world.token()).status_code == 202


def test_nothing_of_a_token_is_logged(world: RiscWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    subject = {"token_identifier_alg": "prefix", "token": "1//0g-canary-abc"}
    world.post(world.token({f"{OAUTH}token-revoked": {"subject": subject}}))
    world.post(world.token(key=KEYS[1]))
    world.post(world.token())
    said = caplog.text + json.dumps([record.__dict__.get("json_fields") for record in caplog.records])
    assert "token-revoked: published" in said
    for secret in ("canary", "alice-1", "eyJ"):
        assert secret not in said


@pytest.mark.parametrize("audiences", ["", "client-1"])
def test_the_entry_point_says_nothing_of_a_broken_environment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, audiences: str
) -> None:
    environ = {
        "GOOGLE_CLOUD_PROJECT": "some-project",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
        "RISC_AUDIENCES": audiences,
        "RISC_JWKS_URL": "http://evil.example/certs" if audiences else "http://127.0.0.1:1/certs",
    }
    monkeypatch.setattr(wiring, "_parts", None)
    monkeypatch.setattr(wiring, "configure_logging", lambda *_: None)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = Flask("risc")
    with app.test_request_context("/", method="POST", data=b"x"):
        answer = app.make_response(main.risc(request))
    assert (answer.status_code, answer.get_json()) == (500, {"error": "bad_environment"})
    assert ("RISC_JWKS_URL must be https" if audiences else "RISC_AUDIENCES is unset") in caplog.text


def test_the_entry_point_takes_a_token(monkeypatch: pytest.MonkeyPatch, world: RiscWorld) -> None:
    settings = Settings(project="p", risc_audiences=("client-1",), risc_jwks_url=world.issuer.url)
    instance = wiring.Parts(settings, {})
    instance.__dict__["publisher"] = world.publisher
    monkeypatch.setattr(wiring, "_parts", instance)
    app = Flask("risc")
    with app.test_request_context("/any/path", method="POST", data=world.token()):
        assert app.make_response(main.risc(request)).status_code == 202
    assert len(world.publisher.refresh_requests) == 1
