"""Environment -> frozen Settings. Every problem is found and said at once; a secret's value is never quoted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final
from urllib.parse import urlsplit

from token_refresh.core.secrecy import Secret
from token_refresh.core.units import parse_durations
from token_refresh.errors import BadEnvironment

_UNSET: Final = Secret("")
_RUN_SHARE: Final = 0.95
_LEASE_TIMEOUTS: Final = 4
_LONGEST_LEASE: Final = 1800
_SHORTEST_KEY: Final = 32
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOPIC: Final = (
    r"(projects/[^/]+/topics/)?[A-Za-z][A-Za-z0-9._~+%-]{2,254}",
    "is neither a topic id nor projects/PROJECT/topics/TOPIC",
)
_HOST_AND_PORT: Final = (r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}", "must be host:port")
_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "EVENTS_TOPIC": _TOPIC,
    "REFRESH_TOPIC": _TOPIC,
    "SECRET_MANAGER_LOCATION": (r"[a-z0-9]+(-[a-z0-9]+)*", "is not a location such as europe-west1"),  # part of a host
    "SECRET_MANAGER_EMULATOR_HOST": _HOST_AND_PORT,
    "PUBSUB_EMULATOR_HOST": _HOST_AND_PORT,
}


def _setting(name: str, default: object, help_text: str) -> Any:
    """Declare a field with its environment variable and the sentence that docs/settings.md shows."""
    return field(default=default, metadata={"env": name, "help": help_text})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment may change. Times in seconds."""

    project: str = _setting(
        "GOOGLE_CLOUD_PROJECT", "", "project of the secrets; from ADC or the metadata server when unset"
    )
    location: str = _setting("SECRET_MANAGER_LOCATION", "", "location of regional secrets; unset = global")
    events_topic: str = _setting("EVENTS_TOPIC", "token-refresh-events", "topic of the events, short id or full name")
    refresh_topic: str = _setting("REFRESH_TOPIC", "token-refresh", "topic that triggers refresh runs")
    refresh_before_expiry: float = _setting(
        "REFRESH_BEFORE_EXPIRY", 900.0, "refresh this long before the access token runs out; at most 25 % of its life"
    )
    confirm_after: float = _setting(
        "CONFIRM_AFTER", 900.0, "a refusal this long after the first one confirms a dead grant"
    )
    breaker_min: float = _setting("BREAKER_MIN", 5.0, "so many unexplained suspects of one client point at the client")
    breaker_hold: float = _setting(
        "BREAKER_HOLD", 3600.0, "and none of them is confirmed for so long after its own first refusal"
    )
    lease_seconds: float = _setting(
        "LEASE_SECONDS", 120.0, "lease of a connection whose refresh token is replaced; 4 x HTTP_TIMEOUT to 1800"
    )
    http_timeout: float = _setting("HTTP_TIMEOUT", 10.0, "token endpoint")
    refresh_workers: float = _setting("REFRESH_WORKERS", 32.0, "threads of one run")
    secret_writes_per_minute: float = _setting(
        "SECRET_WRITES_PER_MINUTE", 480.0, "pace of this process; 80 % of the project quota of 600"
    )
    secret_reads_per_minute: float = _setting(
        "SECRET_READS_PER_MINUTE", 480.0, "pace of this process; 80 % of the project quota of 600"
    )
    token_requests_per_second: float = _setting("TOKEN_REQUESTS_PER_SECOND", 5.0, "per token-endpoint host")
    run_every: float = _setting("RUN_EVERY", 300.0, "period of the Scheduler job")
    run_seconds: float = _setting(
        "RUN_SECONDS", 0.0, "how long after its begin a run may take leases and send; unset = 0.95 x RUN_EVERY"
    )
    providers_file: str = _setting(
        "PROVIDERS_FILE", "", "TOML with more providers, or other definitions of the built-in ones"
    )
    consent_url: str = _setting("CONSENT_URL", "", "public base URL of `consent`; without it events carry no link")
    consent_signing_key: Secret = _setting(  # noqa: RUF009 - declares a field
        "CONSENT_SIGNING_KEY",
        _UNSET,
        "signs tickets, state and cookies; 32 characters or more; several keys one a line: the first signs, all verify",
    )
    consent_ticket_ttl: float = _setting("CONSENT_TICKET_TTL", 604800.0, "life of a link")
    consent_name: str = _setting("CONSENT_NAME", "", "who asks for consent, as owners know them")
    consent_contact: str = _setting("CONSENT_CONTACT", "", "whom owners may ask back: an address or a page")
    consent_warnings: tuple[float, ...] = _setting(
        "CONSENT_WARNINGS", (604800.0, 86400.0), "how long before a grant ends its owner is told: `7d,1d`"
    )
    notify_urls: Secret = _setting(  # noqa: RUF009 - likewise
        "NOTIFY_URLS",
        _UNSET,
        "Apprise URLs, one per line; `{owner}`, `{subject}`, `{incident}` and `{severity}` are replaced",
    )
    runbook_url: str = _setting(
        "RUNBOOK_URL", "", "where docs/runbook.md can be read; the status page and operators' messages link to it"
    )
    risc_audiences: tuple[str, ...] = _setting(
        "RISC_AUDIENCES", (), "client ids that security event tokens may be meant for; one a line or by commas"
    )
    risc_issuer: str = _setting("RISC_ISSUER", "https://accounts.google.com", "who issues security event tokens")
    risc_jwks_url: str = _setting(
        "RISC_JWKS_URL", "https://www.googleapis.com/oauth2/v3/certs", "the issuer's public keys (JWKS)"
    )
    secret_manager_emulator_host: str = _setting(
        "SECRET_MANAGER_EMULATOR_HOST", "", "`host:port` of a local Secret Manager (plaintext gRPC)"
    )
    pubsub_emulator_host: str = _setting("PUBSUB_EMULATOR_HOST", "", "`host:port` of a local Pub/Sub")

    def __post_init__(self) -> None:
        """Derive what is unset and depends on another setting."""
        if not self.run_seconds:
            object.__setattr__(self, "run_seconds", _RUN_SHARE * self.run_every)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment; raises `BadEnvironment` with one message that lists every problem."""
    problems: list[str] = []
    values: dict[str, object] = {}
    for f in fields(Settings):
        name = f.metadata["env"]
        text = environ.get(name, "").strip()
        if not text:
            continue
        if isinstance(f.default, float):
            values[f.name] = _positive_number(name, text, problems)
        elif name == "CONSENT_WARNINGS":
            values[f.name] = _warnings(name, text, problems)
        elif isinstance(f.default, tuple):
            values[f.name] = tuple(filter(None, (part.strip() for part in re.split(r"[,\n]", text))))
        elif isinstance(f.default, Secret):
            values[f.name] = Secret(text)
        else:
            values[f.name] = text.rstrip("/") if name == "CONSENT_URL" else text
    settings = Settings(**values)  # type: ignore[arg-type]  # each value was made for its field
    problems += filter(None, _faults(settings, environ))
    if problems:
        raise BadEnvironment("the environment is wrong: " + "; ".join(problems))
    # The shortest lease has no room for an exchange that is sent twice, where HTTP_TIMEOUT is a second or less.
    return replace(settings, lease_seconds=max(settings.lease_seconds, 2 * (settings.http_timeout + 1) + 1))


def _positive_number(name: str, text: str, problems: list[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        problems.append(f"{name} must be a positive number, not {text[:40]!r}")
    return value


def _warnings(name: str, text: str, problems: list[str]) -> tuple[float, ...]:
    try:
        return parse_durations(text)
    except ValueError as fault:
        problems.append(f"{name} {fault}")
        return ()


def _faults(s: Settings, environ: Mapping[str, str]) -> Iterator[str | None]:
    """Yield what is wrong with values that can be read, alone or beside each other."""
    if any(0 < len(key.strip()) < _SHORTEST_KEY for key in environ.get("CONSENT_SIGNING_KEY", "").splitlines()):
        yield f"CONSENT_SIGNING_KEY has a key of fewer than {_SHORTEST_KEY} characters: one a line, each random"
    lines = enumerate(map(str.strip, environ.get("NOTIFY_URLS", "").splitlines()), 1)
    odd = [str(n) for n, line in lines if line and line[0] != "#" and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", line)]
    if odd:  # a line may hold a password: its number must do
        yield f"NOTIFY_URLS: no URL in line {', '.join(odd)}"
    for name, (pattern, fault) in _FORMS.items():
        text = environ.get(name, "").strip()
        if text and not re.fullmatch(pattern, text):
            yield f"{name} {fault}"
    yield _check_url("RISC_JWKS_URL", s.risc_jwks_url)  # who answers there decides whose events count
    if s.consent_url:
        yield _check_url("CONSENT_URL", s.consent_url, is_base=True)
        if not s.consent_signing_key:
            yield "CONSENT_URL is set and CONSENT_SIGNING_KEY is not: set both"
    shortest = _LEASE_TIMEOUTS * s.http_timeout
    is_number = not math.isnan(s.http_timeout + s.lease_seconds)  # else it was said already
    if is_number and not shortest <= s.lease_seconds <= _LONGEST_LEASE:
        yield (
            f"LEASE_SECONDS must be between 4 x HTTP_TIMEOUT ({shortest:g}) and {_LONGEST_LEASE}, "
            f"not {s.lease_seconds:g}"
        )


def _check_url(name: str, text: str, *, is_base: bool = False) -> str | None:
    try:
        url = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return f"{name} is not a URL"
    if is_base and (not host or url.query or url.fragment or url.username):
        return f"{name} must be a plain base URL such as https://consent.example.com"
    if not host or not (url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)):
        return f"{name} must be https (http only for loopback)"
    return None
