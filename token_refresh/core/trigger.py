"""What a run is asked for: contract 4's JSON object, a Pub/Sub message, or a Secret Manager notification.

https://cloud.google.com/secret-manager/docs/event-notifications lists the notifications' attributes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from token_refresh.core.connection import connection_name
from token_refresh.core.signals import Signal, parse_signals
from token_refresh.errors import BadRequest

_KEYS: Final = ("connections", "force", "versions", "dry_run", "clean", "revoke", "signals")
_MAX_VERSION: Final = 2**31
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Trigger:
    """A request for a run; `connections` None means all. `versions` are lowest versions, by connection."""

    connections: tuple[str, ...] | None = None
    force: bool = False
    versions: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False
    clean: bool = False
    revoke: bool = False  # the grants of `connections` are to be revoked at the provider
    signals: tuple[Signal, ...] = ()  # revoked grants, as their issuer tells of them
    # A notification may name a secret that is no connection: then there is nothing to do.
    only_known: bool = False
    secret_id: str | None = None  # the one that a notification is about


def parse_http_body(body: bytes) -> Trigger | None:
    """Read the body of an HTTP request, a raw Pub/Sub push body included; None = nothing to do.

    Raises `BadRequest`.
    """
    return _parse(_parse_json(body), by_http=True)


def parse_event_data(data: object) -> Trigger | None:
    """Read the data of a CloudEvent: a Pub/Sub message, or the trigger itself; None = nothing to do.

    Raises `BadRequest`.
    """
    if data is None:
        return Trigger()
    if isinstance(data, bytes | bytearray | str):
        data = _parse_json(data.encode(errors="surrogatepass") if isinstance(data, str) else data)
    return _parse(data, by_http=False)


def _parse(data: object, *, by_http: bool) -> Trigger | None:
    if isinstance(data, dict) and isinstance(data.get("message"), dict) and not set(data) & set(_KEYS):
        return _parse_message(data["message"])
    return parse_trigger(data, by_http=by_http)


def _parse_message(message: Mapping[str, object]) -> Trigger | None:
    """Read a Pub/Sub message in its JSON form; raises `BadRequest`."""
    attributes = message.get("attributes")
    if isinstance(attributes, dict) and attributes.get("eventType"):
        return _parse_notification(attributes)
    data = message.get("data")
    if data is None or data == "":
        return Trigger()
    if not isinstance(data, str):
        raise BadRequest("message.data is not base64 text")
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("message.data is not base64") from None
    return parse_trigger(_parse_json(raw))


def parse_trigger(data: object, *, by_http: bool = False) -> Trigger:
    """Read contract 4's JSON object; an empty one asks for all that is due. Raises `BadRequest`.

    A grant is revoked only `by_http`, whose caller waits for the answer: a message may come twice, or late.
    """
    if not isinstance(data, dict):
        raise BadRequest("the request is not a JSON object")
    unknown = sorted(repr(str(k)[:40]) for k in data.keys() - set(_KEYS))
    if unknown:
        raise BadRequest(f"unknown key {_name_some(unknown)}; known are {', '.join(_KEYS)}")
    for key in ("force", "dry_run", "clean"):
        if not isinstance(data.get(key, False), bool):
            raise BadRequest(f'"{key}" is neither true nor false')
    if "revoke" in data:
        return _parse_revoke(data, by_http=by_http)
    if "signals" in data:
        return _parse_signals(data)
    versions = _parse_versions(data.get("versions", {}))
    connections = _parse_names(data["connections"]) if "connections" in data else None
    if connections is None and versions:
        connections = tuple(versions)
    return Trigger(
        connections=connections,
        force=data.get("force", False),
        versions=versions,
        dry_run=data.get("dry_run", False),
        clean=data.get("clean", False),
    )


def _name_some(names: Sequence[str]) -> str:
    """Name the first few: what a caller sends comes back in an answer and a log line."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _parse_revoke(data: Mapping[str, object], *, by_http: bool) -> Trigger:
    if not by_http:
        raise BadRequest('"revoke" is for HTTP requests only: a message may be delivered twice, or late')
    _check_alone(data, "revoke")
    names = _parse_names(data["revoke"], "revoke")
    if not names:
        raise BadRequest('"revoke" names no connection')
    return Trigger(connections=names, revoke=True, dry_run=data.get("dry_run") is True)


def _parse_signals(data: Mapping[str, object]) -> Trigger:
    _check_alone(data, "signals")
    return Trigger(force=True, signals=parse_signals(data["signals"]), dry_run=data.get("dry_run") is True)


def _check_alone(data: Mapping[str, object], key: str) -> None:
    others = sorted(data.keys() - {key, "dry_run"})
    if others:
        raise BadRequest(f'"{key}" goes with "dry_run" at most, not with {", ".join(map(repr, others))}')


def _parse_notification(attributes: Mapping[str, object]) -> Trigger | None:
    kind, secret = attributes.get("eventType"), attributes.get("secretId")
    if kind not in ("SECRET_VERSION_ADD", "SECRET_ROTATE") or not isinstance(secret, str):
        return None
    secret_id = secret.rsplit("/", 1)[-1]
    name = connection_name(secret_id)
    if kind == "SECRET_ROTATE":
        return Trigger(connections=(name,), force=True, only_known=True, secret_id=secret_id)
    version = attributes.get("versionId")
    number = version.rsplit("/", 1)[-1] if isinstance(version, str) else ""
    is_number = number.isascii() and number.isdigit() and len(number) <= len(str(_MAX_VERSION))
    if not is_number or not 0 < int(number) <= _MAX_VERSION:  # of thousands of digits Python makes no number
        raise BadRequest("SECRET_VERSION_ADD without a usable versionId")
    return Trigger(connections=(name,), versions={name: int(number)}, only_known=True, secret_id=secret_id)


def _parse_names(value: object, key: str = "connections") -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise BadRequest(f'"{key}" is not a list of names')
    return tuple(dict.fromkeys(value))


def _parse_versions(value: object) -> Mapping[str, int]:
    if not isinstance(value, dict):
        raise BadRequest('"versions" is not an object of version numbers')
    for name, version in value.items():
        if not name or isinstance(version, bool) or not isinstance(version, int) or not 0 < version <= _MAX_VERSION:
            raise BadRequest('"versions" is not an object of version numbers (whole, 1 or more)')
    return value


def _parse_json(body: bytes | bytearray) -> object:
    if not body.strip():
        return {}
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        # The parser's message may quote the body.
        raise BadRequest("the request is not JSON") from None
