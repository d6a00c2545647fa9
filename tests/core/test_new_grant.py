"""The payload of a connection secret after a consent: in the form of the one that it replaces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_refresh.core.consent.new_grant import render_new_grant
from token_refresh.core.grant import parse_grant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import Refreshed


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=50))
def test_a_new_grant_is_read_back_by_the_next_run(token: str) -> None:
    refreshed = Refreshed(Secret("a"), 1, refresh_token=Secret(token), refresh_token_expires_at=99)
    for old in (None, b"bare", b'{"refresh_token": "old", "note": 1}'):
        payload = render_new_grant(old, refreshed, asked="x y", subject="7", variables={}, now=5.5)
        if old == b"bare":
            assert payload == token.encode()
            continue
        data = json.loads(payload)
        assert data["refresh_token"] == token
        assert (data["issued_at"], data["expires_at"], data["scope"], data["sub"]) == (5, 99, "x y", "7")
        assert parse_grant(payload)


def test_a_new_grant_takes_the_form_of_the_payload_that_it_replaces() -> None:
    refreshed = Refreshed(Secret("a"), 1, refresh_token=Secret("new"), refresh_token_expires_at=99)
    arguments: dict[str, Any] = {"asked": "x y", "subject": "7", "variables": {}, "now": 5.5}
    assert render_new_grant(b"bare", refreshed, **arguments) == b"new"
    payload = json.loads(render_new_grant(b'{"refresh_token": "old", "note": 1}', refreshed, **arguments))
    facts = {"issued_at": 5, "expires_at": 99, "scope": "x y", "sub": "7"}
    assert payload == {"refresh_token": "new", "note": 1, **facts}
    assert json.loads(render_new_grant(None, refreshed, **arguments)) == {"refresh_token": "new", **facts}


def test_what_the_callback_told_goes_into_the_payload() -> None:
    refreshed = Refreshed(Secret("a"), 1, refresh_token=Secret("new"))
    payload = render_new_grant(None, refreshed, asked="", subject=None, variables={"realmId": "9"}, now=0)
    assert json.loads(payload) == {"refresh_token": "new", "issued_at": 0, "scope": "", "variables": {"realmId": "9"}}


def test_a_grant_without_refresh_token_is_none() -> None:
    with pytest.raises(ValueError, match="refresh token"):
        render_new_grant(None, Refreshed(Secret("a"), 1), asked="", subject=None, variables={}, now=0)
