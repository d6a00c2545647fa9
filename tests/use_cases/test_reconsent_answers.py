"""What the provider may answer to a code, and how the account behind it is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.worlds.consents import BASE, OWNER, ConsentWorld, is_saved, title
from token_refresh.core.provider.definition import SubjectSource
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.errors import ReplyLost

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (GrantDead("revoked_or_expired"), 403),
        (ClientRejected("invalid_client", ErrorDetail("invalid_client", "<b>no</b>")), 502),
        (Unavailable("http_503"), 502),
        (UnknownOutcome("reply_lost"), 502),
    ],
    ids=["code refused", "client refused", "unavailable", "unknown"],
)
def test_trouble_at_the_token_endpoint_leaves_the_old_grant(world: ConsentWorld, outcome: Any, status: int) -> None:
    world.endpoint.outcome = outcome
    page = world.consent()
    assert page.status_code == status
    assert "What to do now" in page.get_data(as_text=True)
    assert "<b>no" not in page.get_data(as_text=True)
    assert world.is_untouched()


@pytest.mark.parametrize(
    ("error", "status"),
    [("access_denied", 200), ("temporarily_unavailable", 502), ("server_error", 502), ("invalid_scope", 502)],
)
def test_the_provider_may_say_no(world: ConsentWorld, error: str, status: int) -> None:
    page = world.consent(code="", error=error, error_description="<script>alert(1)</script>")
    assert page.status_code == status
    assert "<script" not in page.get_data(as_text=True)
    assert world.is_untouched()
    assert world.endpoint.redeemed == []


def test_an_account_may_be_known_from_userinfo() -> None:
    world = ConsentWorld(openid=False, subject=SubjectSource("userinfo", "id", f"{BASE.replace('http', 'https')}/user"))
    world.endpoint.userinfo = {"id": 4711, "email": "Alice@Example.com", "email_verified": True}
    assert world.consent().status_code == 200
    assert world.store.annotation("subject") == "4711"


@pytest.mark.parametrize("answer", [None, {}, ReplyLost("provider.example")], ids=["nothing", "empty", "lost"])
def test_an_account_that_cannot_be_learned_is_refused(answer: Any) -> None:
    world = ConsentWorld(openid=False, subject=SubjectSource("userinfo", "id", "https://provider.example/user"))
    world.endpoint.userinfo = answer
    assert not is_saved(world.consent())
    assert world.is_untouched()


@pytest.mark.parametrize("owner", [OWNER, "*"])
def test_where_the_account_cannot_be_known_the_link_is_trusted_and_the_recovery_says_so(owner: str) -> None:
    world = ConsentWorld(openid=False, subject=None)
    world.store.note("owner", owner)
    page = world.consent()
    assert is_saved(page)
    assert "acme does not tell which account it was" in page.get_data(as_text=True)
    assert world.store.newest() == 2
    assert world.store.annotation("subject") is None
    (recovered,) = world.publisher.events
    assert recovered.data["account"] == "unverified"
    known = ConsentWorld()
    known.consent()
    assert "account" not in known.publisher.events[0].data


@pytest.mark.parametrize("recorded", ["annotation", "payload"])
def test_where_the_account_cannot_be_known_one_on_record_cannot_be_met(recorded: str) -> None:
    world = ConsentWorld(openid=False, subject=None)
    if recorded == "annotation":
        world.store.note("subject", "alice-1")
    else:
        world.store.set_payload(json.dumps({"refresh_token": "x", "sub": "alice-1"}))
    assert title(world.open()) == "We cannot tell whose account that is"
    assert world.browser.post(world.link()).status_code == 200
    assert world.is_untouched()


def test_a_provider_without_pkce_is_sent_none() -> None:
    world = ConsentWorld(pkce=False)
    assert "code_challenge" not in world.start()
    world.finish()
    assert world.endpoint.redeemed[0]["code_verifier"] is None
