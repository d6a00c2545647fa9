"""How events arrive: native or wrapped by Pub/Sub, ours or another's, of this edition or the first."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.notice import Notice, parse_notice
from token_refresh.errors import BadRequest

NAME = "gmail-alice"
NATIVE = {
    "type": "dev.token-refresh.invalid_grant.v1",
    "id": "e-1",
    "subject": NAME,
    "source": "s",
    "specversion": "1.0",
}
PUBSUB = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "id": "m-1", "source": "topic"}


def wrapped(attributes: Mapping[str, str] | None = None, data: object = b'{"reason": "x"}') -> dict[str, Any]:
    marked = {f"ce-{name}": value for name, value in NATIVE.items()} if attributes is None else attributes
    body = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {"message": {"attributes": marked, "data": body, "messageId": "m-1"}, "subscription": "s"}


@pytest.mark.parametrize(
    "data", [{"reason": "x"}, b'{"reason": "x"}', '{"reason": "x"}'], ids=["object", "bytes", "text"]
)
def test_a_native_event_is_read(data: object) -> None:
    assert parse_notice(NATIVE, data) == Notice("e-1", EventType.INVALID_GRANT, NAME, {"reason": "x"})


def test_a_wrapped_event_is_read() -> None:
    assert parse_notice(PUBSUB, wrapped()) == Notice("e-1", EventType.INVALID_GRANT, NAME, {"reason": "x"})


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2027-01-15T08:00:00.250Z", 1_800_000_000.25),
        ("2027-01-15T08:00:00+00:00", 1_800_000_000),
        ("2027-01-15T08:00:00", None),
        ("soon", None),
        (None, None),
    ],
)
def test_its_time_is_read(time: str | None, seconds: float | None) -> None:
    notice = parse_notice({**NATIVE, "time": time}, {})
    assert notice
    assert notice.time == seconds


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({**NATIVE, "type": "com.example.other"}, {}),
        ({**NATIVE, "type": "dev.token-refresh.invalid_grant.v2"}, {}),
        ({**NATIVE, "type": "dev.token-refresh.unheard_of.v1"}, {}),
        ({**NATIVE, "type": "x.dev.token-refresh.invalid_grant.v1"}, {}),
        (PUBSUB, wrapped({"eventType": "SECRET_ROTATE"})),
        (PUBSUB, {"message": {"data": ""}}),
        ({}, None),
    ],
    ids=["foreign", "a later version", "unknown", "prefixed", "secret manager's", "no attributes", "nothing"],
)
def test_what_is_no_event_of_ours_is_acknowledged(attributes: Any, data: Any) -> None:
    assert parse_notice(attributes, data) is None


@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        (NATIVE, b"{"),
        (NATIVE, b"[]"),
        (NATIVE, None),
        ({**NATIVE, "id": ""}, {}),
        ({**NATIVE, "subject": None}, {}),
        ({"type": NATIVE["type"], "subject": NAME}, {}),
        (PUBSUB, {}),
        (PUBSUB, wrapped(data="!")),
        (PUBSUB, wrapped(data="abc")),
        (PUBSUB, {"message": "m-1"}),
        (PUBSUB, wrapped(data=None)),
        (PUBSUB, wrapped(data=b"\xff")),
    ],
)
def test_an_event_of_ours_that_cannot_be_read_is_delivered_again(attributes: Any, data: Any) -> None:
    with pytest.raises(BadRequest):
        parse_notice(attributes, data)


@pytest.mark.parametrize(
    ("event_type", "said", "severity"),
    [
        ("invalid_grant", "critical", "critical"),
        ("invalid_grant", None, "warning"),
        ("client_rejected", None, "error"),
        ("recovered", None, "info"),
        ("recovered", "loud", "info"),
    ],
)
def test_an_event_without_severity_has_the_one_of_its_type(event_type: str, said: str | None, severity: str) -> None:
    assert Notice("e-1", EventType(event_type), NAME, {"severity": said}).severity == severity


@pytest.mark.parametrize(
    ("event_type", "data", "is_for_owner"),
    [
        pytest.param("invalid_grant", {}, True, id="a-dead-grant"),
        pytest.param("consent_expiring", {}, True, id="a-grant-that-will-end"),
        pytest.param("consent_overdue", {}, True, id="a-reminder"),
        pytest.param("refresh_failing", {"connection": NAME}, False, id="silence"),
        pytest.param("client_rejected", {"connection": NAME}, False, id="a-fault-of-ours"),
        pytest.param("recovered", {"connection": NAME, "reason": "revoked_or_expired"}, True, id="they-have-consented"),
        pytest.param("recovered", {"connection": NAME, "reason": "reauth_required"}, True, id="they-have-signed-in"),
        pytest.param("recovered", {"connection": NAME, "reason": "refresh_failing"}, False, id="the-provider-is-back"),
        pytest.param("recovered", {"connection": NAME, "reason": "invalid_client"}, False, id="the-operator-mended-it"),
        pytest.param("recovered", {"connection": NAME}, False, id="no-reason"),
        pytest.param("recovered", {"reason": "revoked_or_expired"}, False, id="the-client-s-recovery-has-no-owner"),
    ],
)
def test_an_owner_hears_of_what_they_must_do_and_that_it_is_done(
    event_type: str, data: dict[str, object], *, is_for_owner: bool
) -> None:
    assert Notice("e-1", EventType(event_type), NAME, data).is_for_owner is is_for_owner


def test_an_event_without_incident_opens_its_own() -> None:
    assert Notice("e-1", EventType.INVALID_GRANT, NAME).incident == "e-1"
    assert Notice("e-2", EventType.RECOVERED, NAME, {"incident": "e-1"}).incident == "e-1"
