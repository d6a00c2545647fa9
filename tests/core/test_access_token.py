"""The access-token document: three libraries load it unchanged, and a run reads it back."""

from __future__ import annotations

import json

import pytest

from token_refresh.core.access_token import AccessTokenFacts, build_annotation, build_document, parse_facts
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed


def document(**changes: object) -> dict[str, object]:
    refreshed = Refreshed(Secret("CANARY"), 1_800_003_600, "Bearer", **changes)  # type: ignore[arg-type]
    data = json.loads(build_document(refreshed, connection="alice", connection_version=7, now=1_800_000_000))
    assert isinstance(data, dict)
    return data


def test_the_document_is_what_the_contract_says() -> None:
    assert document(scope="a b") == {
        "access_token": "CANARY",
        "token_type": "Bearer",
        "expires_at": 1_800_003_600,
        "expiry": "2027-01-15T09:00:00Z",
        "expiry_date": 1_800_003_600_000,
        "scope": "a b",
        "connection": "alice",
        "refreshed_at": 1_800_000_000,
        "connection_version": "7",
    }


def test_what_a_provider_adds_is_kept_beside() -> None:
    assert document(extra={"instance_url": "https://x"})["extra"] == {"instance_url": "https://x"}


def test_a_run_reads_back_what_it_wrote() -> None:
    facts = AccessTokenFacts(1_800_003_600, 1_800_000_000, 7)
    assert parse_facts(json.dumps(document())) == facts
    assert parse_facts(build_annotation(facts)) == facts
    assert set(json.loads(build_annotation(facts))) == {"expires_at", "refreshed_at", "connection_version"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="absent"),
        pytest.param(b"", id="empty"),
        pytest.param(b"ya29.bare-token", id="bare-token"),
        pytest.param(b"\xff\xfe", id="binary"),
        pytest.param(b"[" * 100_000, id="nested-too-deep"),
        pytest.param(b"[1]", id="no-object"),
        pytest.param(b'{"expires_at": 5}', id="incomplete"),
        pytest.param(b'{"expires_at": null, "refreshed_at": 1, "connection_version": "1"}', id="null"),
        pytest.param(b'{"expires_at": "x", "refreshed_at": 1, "connection_version": "1"}', id="words"),
        pytest.param(b'{"expires_at": 1e999, "refreshed_at": 1, "connection_version": "1"}', id="endless"),
        pytest.param(b'{"expires_at": NaN, "refreshed_at": 1, "connection_version": "1"}', id="no-number"),
        pytest.param(b'{"expires_at": 1, "refreshed_at": 1, "connection_version": 1e999}', id="endless-version"),
    ],
)
def test_anything_else_is_not_known(text: bytes | None) -> None:
    assert parse_facts(text) is None


@pytest.mark.parametrize(
    ("now", "is_valid"), [pytest.param(99, True, id="before"), pytest.param(100, False, id="at-its-end")]
)
def test_a_token_is_valid_until_its_end(now: float, *, is_valid: bool) -> None:
    assert AccessTokenFacts(100, 40, 1).is_valid(now) is is_valid


@pytest.mark.parametrize(
    ("known", "is_newer"),
    [
        pytest.param(None, True, id="than-none"),
        pytest.param(AccessTokenFacts(100, 39, 1), True, id="than-an-older-one"),
        pytest.param(AccessTokenFacts(100, 40, 1), False, id="than-itself"),
        pytest.param(AccessTokenFacts(90, 41, 1), False, id="than-a-newer-one-that-ends-earlier"),
    ],
)
def test_the_newer_token_is_the_one_that_was_refreshed_later(known: AccessTokenFacts | None, *, is_newer: bool) -> None:
    assert AccessTokenFacts(100, 40, 1).is_newer_than(known) is is_newer


def test_a_life_is_never_negative() -> None:
    assert AccessTokenFacts(100, 40, 1).life == 60
    assert AccessTokenFacts(40, 100, 1).life == 0
