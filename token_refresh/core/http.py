"""HTTP as data: what the core asks an adapter to send, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# A token reply is a few kilobytes; more is an accident or an attack.
MAX_REPLY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to be sent once, without following redirects."""

    method: str
    url: str = field(repr=False)  # `request_format = "query"` puts the refresh token here
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply; header names are lower case; `too_large` when more than `MAX_REPLY_BYTES` came (body is then cut)."""

    status: int
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes = field(repr=False, default=b"")
    too_large: bool = False
