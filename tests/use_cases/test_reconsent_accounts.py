"""Another account, an unknown one, and fewer scopes: refused, and the old grant stays as it was."""

from __future__ import annotations

import json

import pytest

from tests.worlds.consent_pages import refused
from tests.worlds.consents import OWNER, ConsentWorld, is_saved, title

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "mallory", "email": "mallory@example.com"},
        {"sub": "mallory", "email": OWNER, "email_verified": False},
        {"sub": "mallory", "email": OWNER, "email_verified": None},
        {"sub": "mallory", "email": OWNER, "email_verified": 1},
        {"sub": "mallory", "email": None, "name": OWNER},
        {"sub": "mallory", "email": None, "preferred_username": OWNER},
        {"sub": "mallory", "email": OWNER, "email_verified": False, "preferred_username": OWNER},
        {"sub": "mallory", "email": None, "login": OWNER},
        {"sub": OWNER, "email": None},
    ],
    ids=[
        "another",
        "not verified",
        "verification unknown",
        "verified by number",
        "a display name",
        "a user name",
        "a user name and an address that is not verified",
        "a login",
        "a subject",
    ],
)
def test_another_account_is_refused_at_first_consent(world: ConsentWorld, claims: dict[str, object]) -> None:
    world.endpoint.claims = claims
    assert title(world.consent()) == "That was a different account"
    assert world.is_untouched()


@pytest.mark.parametrize(
    ("owner", "claims"),
    [
        (OWNER, {"email": "ALICE@Example.COM"}),
        ("alice", {"preferred_username": "Alice"}),
        ("alice", {"login": "ALICE"}),
        ("alice", {"sub": "Alice"}),
        ("*", {"sub": "whoever-comes-first", "email": None}),
    ],
    ids=["e-mail", "user name", "login", "subject", "anybody"],
)
def test_the_owner_is_known_by_any_of_their_names_whatever_the_case(
    world: ConsentWorld, owner: str, claims: dict[str, object]
) -> None:
    world.store.note("owner", owner)
    world.endpoint.claims = claims
    assert is_saved(world.consent())
    assert world.store.newest() == 2
    assert world.store.annotation("subject") == claims.get("sub", "alice-1")


def test_a_user_name_is_an_address_where_the_definition_says_that_it_is_verified() -> None:
    world = ConsentWorld(verified_usernames=True)
    world.endpoint.claims = {"email": None, "preferred_username": "Alice@example.com"}
    assert is_saved(world.consent())


def test_anybody_is_anybody_once(world: ConsentWorld) -> None:
    world.store.note("owner", "*")
    world.endpoint.claims = {"sub": "first"}
    assert is_saved(world.consent())
    world.endpoint.claims = {"sub": "second"}
    world.start(world.link(1))
    assert title(world.finish()) == "That was a different account"
    assert world.store.newest() == 2


@pytest.mark.parametrize("tells", [True, False])
def test_without_owner_and_subject_no_stranger_becomes_the_owner(*, tells: bool) -> None:
    world = ConsentWorld() if tells else ConsentWorld(openid=False, subject=None)
    world.start()
    world.store.note("owner", None)
    page = world.finish()
    assert refused(page, 200)
    assert "set token-refresh.owner" in page.get_data(as_text=True)
    assert world.endpoint.redeemed == []
    assert refused(world.open(), 200)
    assert refused(world.browser.post(world.link()), 200)
    assert world.is_untouched()


def test_the_account_in_the_payload_is_the_account_on_record(world: ConsentWorld) -> None:
    world.store.note("owner", None)
    world.store.set_payload(json.dumps({"refresh_token": "old", "sub": "alice-0"}))
    assert title(world.consent()) == "That was a different account"
    assert world.is_untouched()
    world.endpoint.claims = {"sub": "alice-0"}
    assert is_saved(world.consent())
    assert world.store.annotation("subject") == "alice-0"


def test_once_a_subject_is_recorded_nothing_else_counts(world: ConsentWorld) -> None:
    world.store.note("subject", "alice-0")
    assert title(world.consent()) == "That was a different account"
    assert world.store.newest() == 1
    world.store.note("subject", "alice-1")
    world.endpoint.claims = {"email": "new-address@example.com"}
    assert is_saved(world.consent())
    assert world.store.annotation("subject") == "alice-1"


@pytest.mark.parametrize("sub", [None, "", True, {"a": 1}, "x" * 600])
def test_an_account_without_a_name_is_refused(world: ConsentWorld, sub: object) -> None:
    world.endpoint.claims = {"sub": sub}
    assert title(world.consent()) == "We cannot tell whose account that is"
    assert world.is_untouched()


@pytest.mark.parametrize("scope", ["openid email", "", "mail.read.all", "openid,email"])
def test_fewer_scopes_are_refused_and_named(world: ConsentWorld, scope: str) -> None:
    world.endpoint.reply = {"scope": scope}
    page = world.consent()
    assert title(page) == "Some permissions are missing"
    assert "<li>mail.read</li>" in page.get_data(as_text=True)
    assert world.is_untouched()


def test_an_answer_without_refresh_token_is_refused(world: ConsentWorld) -> None:
    world.endpoint.reply = {"refresh_token": None}
    assert title(world.consent()) == "The permission would not last"
    assert world.is_untouched()
