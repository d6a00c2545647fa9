"""Status and lease annotations: written, read back, and absent when somebody edited them into nonsense."""

from __future__ import annotations

import json

import pytest

from token_refresh.core.connection import LEASE, STATUS, SecretRecord, parse_connection
from token_refresh.core.status import (
    Lease,
    State,
    Status,
    lease_of,
    parse_lease,
    parse_status,
    render_lease,
    render_status,
    status_of,
)

FULL = Status(
    state=State.REJECTED,
    reason="invalid_client",
    since=100.5,
    version=3,
    attempts=2,
    next_attempt_at=200.0,
    event_id="client_rejected.abc.client",
    tried_at=150.0,
    first_failed_at=90.0,
    message="words",
    error="invalid_client",
    error_subtype="sub",
    owed=("client_rejected.abc.client",),
    client="oauth-client-google",
    client_version=4,
    client_event_id="client_rejected.abc.client",
    refused_at=300.0,
    answer="http_503",
    answer_since=10.0,
    needs_exchange=True,
    reminded=24,
)


def test_a_status_survives_being_written() -> None:
    assert parse_status(render_status(FULL)) == FULL


def test_a_small_status_is_small_and_has_the_fields_of_the_contract() -> None:
    text = render_status(Status(State.NEEDS_CONSENT, "never_consented", 1.0))
    assert json.loads(text) == {
        "state": "needs_consent",
        "reason": "never_consented",
        "since": 1.0,
        "version": 0,
        "attempts": 0,
        "next_attempt_at": 0,
        "event_id": "",
    }
    assert parse_status(text) == Status(State.NEEDS_CONSENT, "never_consented", 1.0)


def test_long_words_are_cut() -> None:
    status = parse_status(render_status(Status(State.REJECTED, "x", 1.0, message="m" * 9999, error="e" * 9999)))
    assert status is not None
    assert (len(status.message), len(status.error)) == (300, 300)


def status_json(**changes: object) -> str:
    data = {"state": "suspect", "reason": "revoked_or_expired", "since": 1, **changes}
    return json.dumps({k: v for k, v in data.items() if v is not None})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="absent"),
        pytest.param("", id="empty"),
        pytest.param("broken", id="no-json"),
        pytest.param("[" * 100_000, id="nested-too-deep"),
        pytest.param("[1]", id="no-object"),
        pytest.param(status_json(state="sick"), id="unknown-state"),
        pytest.param(status_json(state=["suspect"]), id="state-is-a-list"),
        pytest.param(status_json(reason=None), id="no-reason"),
        pytest.param(status_json(since=None), id="no-since"),
        pytest.param(status_json(since="today"), id="since-is-a-word"),
        pytest.param(status_json(since=True), id="since-is-true"),
        pytest.param(status_json(since=-1), id="since-is-negative"),
        pytest.param('{"state": "suspect", "reason": "x", "since": NaN}', id="since-is-no-number"),
        pytest.param('{"state": "suspect", "reason": "x", "since": 1e999}', id="since-is-endless"),
        pytest.param(status_json(version=1.5), id="half-a-version"),
        pytest.param(status_json(owed="x"), id="owed-is-a-word"),
        pytest.param(status_json(owed=[1]), id="owed-holds-a-number"),
        pytest.param(status_json(message=5), id="message-is-a-number"),
    ],
)
def test_nonsense_in_a_status_reads_as_absent(text: str | None) -> None:
    assert parse_status(text) is None


def test_a_status_may_carry_fields_of_a_later_release() -> None:
    status = parse_status(status_json(colour="red", version=2.0, event_id=None))
    assert status == Status(State.SUSPECT, "revoked_or_expired", 1.0, 2, refused_at=1.0)


def test_a_connection_tells_its_status() -> None:
    record = SecretRecord("a", {"token-refresh": "enabled"}, {STATUS: render_status(FULL)}, "")
    connection = parse_connection(record)
    assert connection is not None
    assert status_of(connection) == FULL


def test_a_lease_survives_being_written() -> None:
    lease = Lease("me", 12.5, 7)
    assert parse_lease(render_lease(lease)) == lease


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="absent"),
        pytest.param("{", id="no-json"),
        pytest.param("{}", id="empty"),
        pytest.param('{"holder": 1, "until": 2, "version": 3}', id="holder-is-a-number"),
        pytest.param('{"holder": "a", "until": "b", "version": 3}', id="until-is-a-word"),
        pytest.param('{"holder": "a", "until": 2, "version": 3.5}', id="half-a-version"),
    ],
)
def test_nonsense_in_a_lease_reads_as_absent(text: str | None) -> None:
    assert parse_lease(text) is None


@pytest.mark.parametrize(
    ("annotations", "lease"),
    [
        pytest.param({LEASE: render_lease(Lease("me", 12.5, 7))}, Lease("me", 12.5, 7), id="as-it-was-written"),
        pytest.param({LEASE: "{"}, Lease(), id="nonsense-reads-as-never-taken"),
        pytest.param({}, Lease(), id="absent-reads-as-never-taken"),
    ],
)
def test_a_secret_tells_its_lease(annotations: dict[str, str], lease: Lease) -> None:
    assert lease_of(SecretRecord("a", {}, annotations, "")) == lease


@pytest.mark.parametrize(
    ("holder", "is_of_consent"),
    [
        pytest.param("consent-7f", True, id="a-consent"),
        pytest.param("refresh-consent-7f", False, id="a-run"),
        pytest.param("", False, id="nobody"),
    ],
)
def test_the_holder_s_name_tells_whether_a_consent_took_the_lease(holder: str, *, is_of_consent: bool) -> None:
    assert Lease(holder, 101, 5).is_of_consent is is_of_consent


@pytest.mark.parametrize(
    ("lease", "is_held", "is_abandoned"),
    [
        pytest.param(Lease(), False, False, id="never-taken"),
        pytest.param(Lease("", 0, 5), False, False, id="released"),
        pytest.param(Lease("me", 101, 5), True, False, id="held"),
        pytest.param(Lease("me", 100, 5), False, True, id="run-out-just-now"),
    ],
)
def test_a_lease_is_held_or_abandoned_or_neither(lease: Lease, *, is_held: bool, is_abandoned: bool) -> None:
    assert (lease.is_held(100), lease.is_abandoned(100)) == (is_held, is_abandoned)
