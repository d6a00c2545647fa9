"""What a run is asked for: HTTP bodies, Pub/Sub messages, Secret Manager notifications."""

from __future__ import annotations

import base64
import json

import pytest

from token_refresh.core.signals import Signal
from token_refresh.core.trigger import Trigger, parse_event_data, parse_http_body, parse_trigger
from token_refresh.errors import BadRequest


def message(data: object = None, **attributes: str) -> dict[str, object]:
    raw = data if isinstance(data, str) else base64.b64encode(json.dumps(data).encode()).decode()
    return {
        "message": {"messageId": "1", **({"data": raw} if data is not None else {}), "attributes": attributes},
        "subscription": "projects/p/subscriptions/s",
    }


def notification(kind: str, secret: str = "alice-refresh-token", version: str | None = "7") -> dict[str, object]:
    name = f"projects/123456789012/secrets/{secret}"
    more = {"versionId": f"{name}/versions/{version}"} if version is not None else {}
    return message({"name": name}, eventType=kind, secretId=name, dataFormat="JSON_API_V1", **more)


ALL = Trigger()


@pytest.mark.parametrize(
    ("body", "trigger"),
    [
        pytest.param(b"", ALL, id="empty"),
        pytest.param(b" \n", ALL, id="white-space"),
        pytest.param(b"{}", ALL, id="empty-object"),
        pytest.param("\ufeff{}".encode(), ALL, id="byte-order-mark"),
        pytest.param(b'{"connections": ["a", "b", "a"]}', Trigger(("a", "b")), id="each-connection-once"),
        pytest.param(b'{"connections": []}', Trigger(()), id="none"),
        pytest.param(
            b'{"force": true, "dry_run": true, "clean": true}', Trigger(None, True, {}, True, True), id="flags"
        ),
        pytest.param(b'{"versions": {"a": 7}}', Trigger(("a",), versions={"a": 7}), id="versions-imply-connections"),
        pytest.param(
            b'{"versions": {"a": 2147483648}}', Trigger(("a",), versions={"a": 2**31}), id="the-highest-version"
        ),
        pytest.param(
            b'{"connections": ["b"], "versions": {"a": 7}}', Trigger(("b",), versions={"a": 7}), id="unless-named"
        ),
        pytest.param(json.dumps(message({"force": True})).encode(), Trigger(force=True), id="pubsub-push"),
        pytest.param(json.dumps(message()).encode(), ALL, id="pubsub-push-without-data"),
        pytest.param(json.dumps(message("")).encode(), ALL, id="pubsub-push-with-empty-data"),
        pytest.param(b'{"message": {"data": "e30="}}', ALL, id="pubsub-push-without-attributes"),
    ],
)
def test_a_body_is_read(body: bytes, trigger: Trigger) -> None:
    assert parse_http_body(body) == trigger
    assert parse_event_data(body) == trigger


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="no-json"),
        pytest.param(b"\xff\xfe", id="binary"),
        pytest.param(b"[" * 100_000, id="nested-too-deep"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"all"', id="string"),
        pytest.param(b"0", id="zero"),
        pytest.param(b"false", id="false"),
        pytest.param(b'{"connection": ["a"]}', id="unknown-key"),
        pytest.param(b'{"connections": "a"}', id="connections-is-a-word"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"connections": null}', id="connections-is-null"),
        pytest.param(b'{"connections": [1]}', id="a-connection-is-a-number"),
        pytest.param(b'{"connections": [""]}', id="a-connection-is-empty"),
        pytest.param(b'{"force": 1}', id="force-is-a-number"),
        pytest.param(b'{"dry_run": "yes"}', id="dry-run-is-a-word"),
        pytest.param(b'{"clean": null}', id="clean-is-null"),
        pytest.param(b'{"versions": [7]}', id="versions-is-a-list"),
        pytest.param(b'{"versions": {"a": "7"}}', id="a-version-is-a-word"),
        pytest.param(b'{"versions": {"a": true}}', id="a-version-is-true"),
        pytest.param(b'{"versions": {"a": 0}}', id="version-zero"),
        pytest.param(b'{"versions": {"a": -1}}', id="negative-version"),
        pytest.param(b'{"versions": {"a": 1.5}}', id="half-a-version"),
        pytest.param(b'{"versions": {"": 1}}', id="nameless-version"),
        pytest.param(b'{"versions": {"a": 2147483649}}', id="version-too-large"),
        pytest.param(b'{"message": "hello"}', id="message-is-a-word"),
        pytest.param(b'{"message": {"data": ""}, "force": true}', id="a-message-beside-a-key"),
        pytest.param(b'{"message": {"data": "***"}}', id="data-is-no-base64"),
        pytest.param(b'{"message": {"data": 7}}', id="data-is-a-number"),
        pytest.param(b'{"message": {"data": "ew=="}}', id="data-is-no-json"),
        pytest.param(b'{"message": {"data": "W10="}}', id="data-is-a-list"),
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_http_body(body)
    with pytest.raises(BadRequest):
        parse_event_data(body.decode() if body.isascii() else body)


def test_text_that_has_no_utf_8_form_is_refused_like_any_other() -> None:
    with pytest.raises(BadRequest, match="not JSON"):
        parse_event_data("\ud83d")


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        pytest.param(None, ALL, id="nothing"),
        pytest.param({"connections": ["a"]}, Trigger(("a",)), id="the-trigger-itself"),
        pytest.param('{"force": true}', Trigger(force=True), id="text"),
        pytest.param(message({"force": True}), Trigger(force=True), id="wrapped"),
    ],
)
def test_the_data_of_an_event_is_read(data: object, trigger: Trigger) -> None:
    assert parse_event_data(data) == trigger


ALICE = "alice-refresh-token"


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        pytest.param(
            notification("SECRET_VERSION_ADD"),
            Trigger(("alice",), versions={"alice": 7}, only_known=True, secret_id=ALICE),
            id="version-added",
        ),
        pytest.param(
            notification("SECRET_ROTATE", version=None),
            Trigger(("alice",), force=True, only_known=True, secret_id=ALICE),
            id="rotation-due",
        ),
        pytest.param(
            message(None, eventType="SECRET_VERSION_ADD", secretId=ALICE, versionId="7"),
            Trigger(("alice",), versions={"alice": 7}, only_known=True, secret_id=ALICE),
            id="bare-ids",
        ),
        pytest.param(notification("SECRET_VERSION_DESTROY"), None, id="other-event"),
        pytest.param(notification("SECRET_UPDATE", version=None), None, id="metadata-changed"),
        pytest.param(notification("TOPIC_CONFIGURED", version=None), None, id="topic-configured"),
        pytest.param(message(None, eventType="SECRET_ROTATE"), None, id="no-secret"),
    ],
)
def test_a_notification_of_secret_manager_is_read(data: dict[str, object], trigger: Trigger | None) -> None:
    assert parse_event_data(data) == trigger
    assert parse_http_body(json.dumps(data).encode()) == trigger


@pytest.mark.parametrize("version", [None, "latest", "0", "²", "2147483649", "9" * 5000])
def test_a_version_that_was_added_must_have_a_number(version: str | None) -> None:
    with pytest.raises(BadRequest, match="versionId"):
        parse_event_data(notification("SECRET_VERSION_ADD", version=version))


def test_the_fault_is_named() -> None:
    with pytest.raises(BadRequest, match="unknown key 'conections'; known are connections, force"):
        parse_trigger({"conections": []})


def test_of_many_unknown_keys_a_few_are_named() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_trigger({f"key-{n:05}": 1 for n in range(10_000)})
    assert "'key-00019' and 9980 more; known are" in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("data", [{"revoke": ["a"]}, {"revoke": ["a"], "dry_run": True}])
def test_a_message_revokes_nothing(data: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="revoke"):
        parse_event_data(message(data))
    pushed = json.dumps(message(data)).encode()
    for way in (parse_http_body, parse_event_data):
        with pytest.raises(BadRequest, match="revoke"):
            way(pushed)
    with pytest.raises(BadRequest, match="revoke"):
        parse_event_data(data)
    with pytest.raises(BadRequest, match="revoke"):
        parse_event_data(json.dumps(data).encode())
    assert parse_http_body(json.dumps(data).encode()) is not None


REVOKED = Signal("https://accounts.google.com", "sub", "7")
SIGNAL = {"iss": "https://accounts.google.com", "sub": "7"}


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        pytest.param({"revoke": ["a", "b", "a"]}, Trigger(("a", "b"), revoke=True), id="each-once"),
        pytest.param({"revoke": ["a"], "dry_run": True}, Trigger(("a",), revoke=True, dry_run=True), id="only-planned"),
        pytest.param({"signals": [SIGNAL]}, Trigger(force=True, signals=(REVOKED,)), id="signals"),
        pytest.param(
            {"signals": [SIGNAL], "dry_run": True},
            Trigger(force=True, signals=(REVOKED,), dry_run=True),
            id="signals-only-planned",
        ),
    ],
)
def test_a_request_to_revoke_and_a_signal_are_read(data: dict[str, object], trigger: Trigger) -> None:
    assert parse_http_body(json.dumps(data).encode()) == trigger


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"revoke": []}, "names no connection", id="nothing-to-revoke"),
        pytest.param({"revoke": "a"}, '"revoke" is not a list of names', id="a-word"),
        pytest.param({"revoke": ["a"], "force": True}, "not with 'force'", id="revoke-with-force"),
        pytest.param({"revoke": ["a"], "connections": ["b"]}, "not with 'connections'", id="revoke-beside-a-run"),
        pytest.param({"signals": [], "clean": True}, "not with 'clean'", id="signals-with-clean"),
        pytest.param({"signals": [SIGNAL], "revoke": ["a"]}, "not with 'signals'", id="both"),
        pytest.param({"signals": [{}]}, "signal", id="a-signal-of-nothing"),
        pytest.param({"signals": "x"}, "signals", id="signals-are-a-word"),
    ],
)
def test_what_does_not_go_together_is_named(data: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_http_body(json.dumps(data).encode())
    assert words in str(caught.value)
