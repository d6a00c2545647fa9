"""What the event of an incident says: subject, reason, severity, words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.statuses import DEAD, NOW, REFUSED
from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.connection import Connection, SecretRecord, parse_connection
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.incident import announce, announce_client, build_event, severity_of
from token_refresh.core.status import State, Status

FACTS = AccessTokenFacts(NOW + 100.9, NOW, 6)


@pytest.fixture
def connection() -> Connection:
    record = SecretRecord("alice-refresh-token", {"token-refresh": "enabled"}, {}, "")
    found = parse_connection(record)
    assert found
    return found


@pytest.mark.parametrize(
    ("event_type", "reason", "facts", "severity"),
    [
        pytest.param("recovered", "revoked_or_expired", None, "info", id="over"),
        pytest.param("invalid_grant", "revoked_or_expired", None, "critical", id="no-token"),
        pytest.param("invalid_grant", "revoked_or_expired", FACTS, "warning", id="time-left"),
        pytest.param("refresh_failing", "refresh_failing", FACTS, "warning", id="silence-and-time-left"),
        pytest.param("client_rejected", "invalid_client", FACTS, "error", id="the-operator-s"),
        pytest.param("client_rejected", "invalid_client", None, "critical", id="the-operator-s-and-no-token"),
        pytest.param("consent_expiring", "consent_expiring", None, "warning", id="an-end-is-near"),
    ],
)
def test_severity_is_the_first_that_holds(
    event_type: str, reason: str, facts: AccessTokenFacts | None, severity: str
) -> None:
    assert severity_of(event_type, reason, facts, NOW) == severity


def test_the_event_of_a_dead_grant(connection: Connection) -> None:
    status = announce(DEAD, EventType.INVALID_GRANT, "alice")
    event = build_event(
        status.event_id,
        connection,
        status,
        now=NOW,
        facts=FACTS,
        consent_url="https://c/1",
        error_description="Token has been revoked.",
    )
    assert (event.type, event.subject, event.time) == ("invalid_grant", "alice", NOW)
    assert event.data == {
        "connection": "alice",
        "provider": "google",
        "reason": "revoked_or_expired",
        "remedy": "reconsent",
        "message": ("connection alice: The provider no longer honours the grant: it was revoked or has expired."),
        "consent_url": "https://c/1",
        "incident": status.event_id,
        "severity": "warning",
        "connection_secret": "alice-refresh-token",
        "access_token_secret": "alice-access-token",
        "version": 5,
        "access_token_expires_at": int(NOW + 100),
        "first_failed_at": int(NOW - 60),
        "error": "invalid_grant",
        "error_description": "Token has been revoked.",
    }


def test_the_event_of_a_client_names_no_connection(connection: Connection) -> None:
    status = announce_client(REFUSED, "invalid_client")
    names = [f"c{n:02}" for n in range(30)]
    event = build_event(
        status.event_id, connection, status, now=NOW, facts=FACTS, consent_url="https://c/1", affected=names
    )
    assert event.subject == "oauth-client-google"
    assert (event.data["connections"], event.data["connection_names"]) == (30, names[:20])
    assert event.data["reason"] == "invalid_client"
    assert event.data["remedy"] == "fix_client"
    absent = {"connection", "consent_url", "connection_secret", "version", "access_token_expires_at"}
    assert not absent & set(event.data)


@pytest.mark.parametrize(
    ("event_id", "status", "reason", "words"),
    [
        pytest.param(
            "refresh_failing.x",
            Status(State.UNAVAILABLE, "http_503", NOW),
            "refresh_failing",
            "(http_503)",
            id="silence",
        ),
        pytest.param(
            "client_rejected.x",
            Status(State.MISCONFIGURED, "misconfigured", NOW, message="create it"),
            "misconfigured",
            "create it",
            id="our-own-fault",
        ),
        pytest.param(
            "consent_expiring.x",
            Status(State.HEALTHY, "healthy", NOW, message="ends soon"),
            "consent_expiring",
            "ends soon",
            id="an-end-is-near",
        ),
        pytest.param(
            "consent_overdue.x", replace(DEAD, reminded=24), "revoked_or_expired", "waited 24 hours", id="a-reminder"
        ),
        pytest.param("recovered.x", DEAD, "revoked_or_expired", "healthy again", id="a-recovery"),
    ],
)
def test_every_event_says_in_words_what_happened(
    connection: Connection, event_id: str, status: Status, reason: str, words: str
) -> None:
    data = build_event(event_id, connection, status, now=NOW, facts=None, consent_url=None).data
    assert data["reason"] == reason
    assert words in str(data["message"])
    assert "consent_url" not in data
    assert ("remedy" in data) is (event_id != "recovered.x")


def test_a_recovery_names_the_version_that_works(connection: Connection) -> None:
    event = build_event("recovered.x", connection, DEAD, now=NOW, facts=FACTS, consent_url="https://c")
    assert event.data["version"] == 6
    assert {"consent_url", "error"}.isdisjoint(event.data)
