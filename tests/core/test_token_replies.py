"""The replies in tests/replies, judged: one file is one test, named ``<provider>.<case>.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.recorded_replies import REPLIES, recorded, reply_of
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, classify_reply
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.providers import load_providers

PROVIDERS = load_providers()
NOW = 1_800_000_000
SENT = Secret("sent-refresh-token")


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_a_recorded_reply_means_what_its_file_says(path: Path) -> None:
    record = json.loads(path.read_text())
    outcome = classify_reply(reply_of(record), PROVIDERS[path.name.partition(".")[0]], Asked(NOW, (SENT,), SENT))
    seen: dict[str, Any] = {"outcome": type(outcome).__name__}
    if isinstance(outcome, Refreshed):
        seen["expires_in"] = outcome.expires_at - NOW
        seen["rotated"] = outcome.refresh_token is not None
        if outcome.scope is not None:
            seen["scope"] = outcome.scope
        if outcome.refresh_token_expires_at is not None:
            seen["refresh_token_expires_in"] = outcome.refresh_token_expires_at - NOW
        if outcome.authorization_expires_at is not None:
            seen["authorization_expires_in"] = outcome.authorization_expires_at - NOW
        if outcome.refresh_token_timeout is not None:
            seen["refresh_token_timeout"] = outcome.refresh_token_timeout
        if outcome.extra:
            seen["extra"] = dict(outcome.extra)
        assert outcome.access_token == Secret("new-access-token")
        assert outcome.refresh_token in (None, Secret("new-refresh-token"), Secret("new-access-token"))
    else:
        seen["reason"] = outcome.reason
        if getattr(outcome, "retry_after", None) is not None:
            seen["retry_after"] = outcome.retry_after  # type: ignore[union-attr]
    assert seen == record["expect"]


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_has_a_recorded_success_and_a_dead_reply(name: str) -> None:
    """What differs from another definition in its host alone is asked, and answers, as that one does."""
    name = recorded(name)
    cases = {path.name.split(".")[1].partition("-")[0] for path in REPLIES if path.name.startswith(f"{name}.")}
    refused = "client" if PROVIDERS[name].token_params.get("grant_type") else "dead"  # a client that stands for itself
    assert {"success", refused} <= cases


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_a_recorded_reply_names_its_source(path: Path) -> None:
    assert json.loads(path.read_text())["source"].startswith("https://")
