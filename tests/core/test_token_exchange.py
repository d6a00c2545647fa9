"""Contract 12: the form of RFC 8693 in, the stored document's token or an OAuth error out."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from token_refresh.core.secrecy import Secret
from token_refresh.core.token_exchange import (
    ACCESS_TOKEN,
    GRANT_TYPE,
    MAX_FORM_BYTES,
    NO_SUCH_TARGET,
    NOT_ACCEPTED,
    RUN_OUT,
    STORE_TROUBLE,
    Ask,
    HandedOut,
    Refusal,
    build_answer,
    build_credential_file,
    build_executable_answer,
    parse_form,
)

NOW = 1_800_000_000.5
FORM = {
    "grant_type": GRANT_TYPE,
    "audience": "//token-refresh/connections/gmail-alice",
    "subject_token_type": ACCESS_TOKEN,
    "subject_token": "ya29.a0-_~+/x==",
}
ASK = Ask("gmail-alice", Secret("ya29.a0-_~+/x=="))


def form(**changes: str | None) -> bytes:
    return urlencode({k: v for k, v in {**FORM, **changes}.items() if v is not None}).encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(), id="the four that are needed"),
        pytest.param(form(requested_token_type=ACCESS_TOKEN), id="an access token is what is requested"),
        pytest.param(form(requested_token_type=""), id="a parameter without a value counts as omitted"),
        pytest.param(form(scope="https://mail.google.com/"), id="scope is ignored"),
        pytest.param(form(scope="a") + b"&scope=b&options=%7B%7D&client_id=x", id="so is what is unknown"),
    ],
)
def test_a_form_names_connection_and_caller(body: bytes) -> None:
    ask = parse_form(body)
    assert ask == ASK
    assert isinstance(ask, Ask)
    assert "ya29" not in repr(ask)


@pytest.mark.parametrize(
    ("body", "error", "names"),
    [
        pytest.param(b"", "invalid_request", "grant_type", id="nothing"),
        pytest.param(b'{"grant_type": "x"}', "invalid_request", "grant_type", id="JSON"),
        pytest.param(b"grant_type=\xff", "invalid_request", "form", id="bytes that are no form"),
        pytest.param(b"grant_type=%ff", "invalid_request", "form", id="percent-encoded bytes that are not UTF-8"),
        pytest.param(b"&".join([b"a=b"] * 60), "invalid_request", "form", id="too many fields"),
        pytest.param(b"a" * (MAX_FORM_BYTES + 1), "invalid_request", "too long", id="too long"),
        pytest.param(form(grant_type=None), "invalid_request", "grant_type", id="no grant type"),
        pytest.param(form(grant_type="refresh_token"), "unsupported_grant_type", GRANT_TYPE, id="another grant type"),
        pytest.param(
            form(grant_type="refresh_token", audience=None), "unsupported_grant_type", "", id="that is said first"
        ),
        pytest.param(form(audience=None), "invalid_request", "audience", id="no audience"),
        pytest.param(form(subject_token=""), "invalid_request", "subject_token", id="an empty subject token"),
        pytest.param(form(subject_token_type=None), "invalid_request", "subject_token_type", id="no token type"),
        pytest.param(
            form(subject_token_type="urn:ietf:params:oauth:token-type:id_token"),
            "invalid_request",
            "subject_token_type",
            id="an ID token for a subject token",
        ),
        pytest.param(
            form(requested_token_type="urn:ietf:params:oauth:token-type:jwt"),
            "invalid_request",
            "requested_token_type",
            id="another token is requested",
        ),
        pytest.param(form() + b"&audience=x", "invalid_request", "more than once", id="a parameter twice"),
    ],
)
def test_an_unusable_form_is_named_as_rfc_6749_has_it(body: bytes, error: str, names: str) -> None:
    refusal = parse_form(body)
    assert isinstance(refusal, Refusal)
    assert refusal.error == error
    assert names in refusal.description
    assert refusal.as_json() == {"error": error, "error_description": refusal.description}


@pytest.mark.parametrize(
    "audience",
    [
        "gmail-alice",
        "//token-refresh/connections/",
        "//token-refresh/connections/a/b",
        "//token-refresh/connections/../x",
        "//token-refresh/connections/gmail alice",
        "//token-refresh/connections/" + "a" * 243,
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
    ],
)
def test_an_audience_that_can_be_no_connection_is_an_unknown_one(audience: str) -> None:
    assert parse_form(form(audience=audience)) is NO_SUCH_TARGET


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "Zürich", "a" * 20_000])
def test_what_can_be_no_bearer_token_is_not_accepted_and_not_sent_anywhere(token: str) -> None:
    assert parse_form(form(subject_token=token)) is NOT_ACCEPTED


DOCUMENT: dict[str, Any] = {
    "access_token": "ya29.the-owners",
    "token_type": "Bearer",
    "expires_at": 1_800_000_600,
    "expiry": "2027-01-15T08:10:00Z",
    "expiry_date": 1_800_000_600_000,
    "scope": "openid email",
    "connection": "gmail-alice",
    "refreshed_at": 1_799_997_000,
    "connection_version": "3",
}


def payload(**changes: object) -> bytes:
    return json.dumps({k: v for k, v in {**DOCUMENT, **changes}.items() if v is not ...}).encode()


def test_the_answer_has_the_stored_token_and_what_is_left_of_its_life() -> None:
    answer = build_answer(payload(), "gmail-alice", NOW)
    assert isinstance(answer, HandedOut)
    assert answer.as_json() == {
        "access_token": "ya29.the-owners",
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 599,
        "scope": "openid email",
    }
    assert "ya29" not in repr(answer)


@pytest.mark.parametrize(
    ("changes", "kind", "scope"),
    [
        pytest.param({"token_type": "bearer"}, "Bearer", "openid email", id="in lower case"),
        pytest.param({"token_type": ...}, "Bearer", "openid email", id="without a type"),
        pytest.param({"token_type": "DPoP"}, "DPoP", "openid email", id="a bound token says so"),
        pytest.param({"scope": ...}, "Bearer", "", id="without a scope"),
    ],
)
def test_type_and_scope_are_those_of_the_document(changes: dict[str, object], kind: str, scope: str) -> None:
    answer = build_answer(payload(**changes), "gmail-alice", NOW)
    assert isinstance(answer, HandedOut)
    assert (answer.token_type, answer.scope) == (kind, scope)


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"ya29.bare", id="format text"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="a pit of brackets"),
        pytest.param(b'{"type": "service_account", "private_key": "x"}', id="a service-account key"),
        pytest.param(b'{"refresh_token": "1//x", "client_id": "x", "client_secret": "y"}', id="a grant"),
        pytest.param(payload(access_token=...), id="no token"),
        pytest.param(payload(access_token=""), id="an empty token"),
        pytest.param(payload(access_token=7), id="a token that is a number"),
        pytest.param(payload(expires_at=...), id="no expiry"),
        pytest.param(payload(connection="gmail-bob"), id="another connection's document"),
        pytest.param(payload(connection=...), id="no connection"),
    ],
)
def test_anything_but_the_document_of_the_connection_is_an_unknown_target(stored: bytes) -> None:
    assert build_answer(stored, "gmail-alice", NOW) is NO_SUCH_TARGET


@pytest.mark.parametrize("expires_at", [1_800_000_000, 1_800_000_001, 0])
def test_a_token_that_has_run_out_is_a_matter_of_time(expires_at: int) -> None:
    assert build_answer(payload(expires_at=expires_at), "gmail-alice", NOW) is RUN_OUT
    assert RUN_OUT.retry_after > 0


@pytest.mark.parametrize(
    ("refusal", "is_for_later"),
    [
        pytest.param(NO_SUCH_TARGET, False, id="no such target"),
        pytest.param(NOT_ACCEPTED, False, id="not accepted"),
        pytest.param(RUN_OUT, True, id="run out"),
        pytest.param(STORE_TROUBLE, True, id="trouble at the store"),
    ],
)
def test_what_may_change_by_itself_says_when_to_ask_again(refusal: Refusal, *, is_for_later: bool) -> None:
    assert (refusal.retry_after > 0) is is_for_later
    assert (refusal.error == "temporarily_unavailable") is is_for_later


METADATA = {
    "url": "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
    "headers": {"Metadata-Flavor": "Google"},
    "format": {"type": "json", "subject_token_field_name": "access_token"},
}


@pytest.mark.parametrize(
    ("place", "source"),
    [
        pytest.param({}, METADATA, id="in the cloud"),
        pytest.param(
            {"metadata_host": "127.0.0.1:8080"},
            {**METADATA, "url": METADATA["url"].replace("metadata.google.internal", "127.0.0.1:8080")},  # type: ignore[attr-defined]
            id="another metadata server",
        ),
        pytest.param(
            {"command": "token-refresh caller-token"},
            {"executable": {"command": "token-refresh caller-token", "timeout_millis": 30_000}},
            id="on a laptop",
        ),
    ],
)
def test_the_credential_file_says_where_the_caller_s_own_token_comes_from(
    place: dict[str, str], source: dict[str, object]
) -> None:
    """AIP-4117."""
    assert build_credential_file("gmail-alice", "https://t.example/token", **place) == {
        "type": "external_account",
        "audience": FORM["audience"],
        "subject_token_type": ACCESS_TOKEN,
        "token_url": "https://t.example/token",
        "credential_source": source,
    }


def test_an_executable_s_answer_is_a_success_of_version_1() -> None:
    assert build_executable_answer("ya29.caller") == {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:id_token",
        "id_token": "ya29.caller",
    }
