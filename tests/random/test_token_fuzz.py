"""No reply, however odd, raises, leaks, or is read as dead unless a table says so."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds.depth import examples
from token_refresh.core.http import HttpReply
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, GrantKind, classify_reply
from token_refresh.core.token_endpoint.error_codes import DEAD
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome
from token_refresh.core.token_endpoint.request import forms_of
from token_refresh.providers import load_providers

NOW = 1_800_000_000
PROVIDERS = load_providers()
CANARY = "canary+token/1234"
SENT = Secret(CANARY)
ASKED = Asked(NOW, forms_of([SENT]), SENT)

WORDS = st.sampled_from(
    [
        "error",
        "error_description",
        "errors",
        "access_token",
        "refresh_token",
        "expires_in",
        "expires_at",
        "scope",
        "token_type",
        "code",
        "message",
        "status",
        "ok",
        "error_codes",
        "errorType",
        "body",
        "data",
        "id_token",
        "invalid_grant",
        "invalid_client",
        "temporarily_unavailable",
        CANARY,
        f"AADSTS70000 {CANARY}",
        "canary%2Btoken",
    ]
)
TEXTS = WORDS | st.text(max_size=30)
NUMBERS = st.integers() | st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**400), 10**400)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=20,
)
BODIES = st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503, 504]) | st.integers(100, 599)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "content-type", "dpop-nonce"]), st.text(max_size=30))
REPLIES = st.builds(HttpReply, STATUSES, HEADERS, BODIES, st.booleans())


def printed(outcome: TokenOutcome) -> str:
    """Everything that may be shown of an outcome."""
    return (
        repr(outcome)
        if not isinstance(outcome, Refreshed)
        else repr(dataclasses.replace(outcome, extra={}, scope=None))
    )


@settings(max_examples=examples(600), deadline=None)
@given(REPLIES, st.sampled_from(sorted(PROVIDERS)), st.sampled_from(GrantKind))
def test_no_reply_raises_or_leaks(reply: HttpReply, name: str, kind: GrantKind) -> None:
    outcome = classify_reply(reply, PROVIDERS[name], dataclasses.replace(ASKED, kind=kind))
    assert CANARY not in printed(outcome)
    printed(outcome).encode()
    if isinstance(outcome, Refreshed):
        assert outcome.expires_at > NOW
        assert CANARY not in json.dumps(dict(outcome.extra), ensure_ascii=False).encode().decode()
        (outcome.scope or "").encode()
    elif not isinstance(outcome, Refreshed):
        assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", outcome.reason)


@settings(max_examples=examples(600), deadline=None)
@given(REPLIES, st.sampled_from(sorted(PROVIDERS)))
def test_no_reply_is_dead_unless_it_says_a_word_of_the_tables(reply: HttpReply, name: str) -> None:
    provider = PROVIDERS[name]
    outcome = classify_reply(reply, provider, ASKED)
    if isinstance(outcome, GrantDead):
        text = json.dumps(json.loads(reply.body), ensure_ascii=False).casefold()
        assert any(word.casefold() in text for word in (*DEAD, *provider.dead_errors))
        assert 200 <= reply.status < 500


KEYS = st.sampled_from([*(f.name for f in dataclasses.fields(Provider)), "extends", "from", "url", "path"])
TABLES = st.dictionaries(
    st.sampled_from(["a", "b", "google", "A b", ""]),
    VALUES | st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=8),
    max_size=4,
)


@settings(max_examples=examples(100), deadline=None)
@given(TABLES)
def test_no_definition_file_raises_anything_but_its_list_of_problems(tables: dict[str, Any]) -> None:
    try:
        parse_providers(tables, {"google": {"token_url": "https://oauth2.googleapis.com/token"}})
    except ProviderTableError as exc:
        assert exc.problems  # noqa: PT017 - either way is fine, anything else is not


@settings(max_examples=examples(300), deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=6), STATUSES)
def test_a_token_is_found_whatever_stands_beside_it(beside: dict[str, Any], status: int) -> None:
    body = json.dumps({**beside, "access_token": "new-access-token"}).encode()
    outcome = classify_reply(HttpReply(status, body=body), PROVIDERS["google"], ASKED)
    assert isinstance(outcome, Refreshed) == (200 <= status < 300)
