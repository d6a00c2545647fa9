"""Attacks on the consent workflow: each is refused, says how to go on, and leaves the old grant as it was."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from tests.worlds.consents import (
    BASE,
    CODE,
    ISSUER,
    KEY,
    NAME,
    NOW,
    OWNER,
    SECRET,
    ConsentWorld,
    id_token,
    is_saved,
    title,
)
from token_refresh.adapters.tickets import Tickets
from token_refresh.core.secrecy import Secret

pytestmark = pytest.mark.timeout(60)
NEW_KEY = "another-signing-key-of-32-characters"
few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def refused(page: Any, status: int = 403) -> bool:
    text = page.get_data(as_text=True)
    has_button = 'class="primary"' in text
    return bool(page.status_code == status and "What to do now" in text and has_button and not is_saved(page))


# -- tickets ---------------------------------------------------------------------------------------------------------


def test_a_link_scanner_that_follows_the_link_changes_nothing(world: ConsentWorld) -> None:
    for _ in range(3):
        assert world.open().status_code == 200
        assert world.browser.head(world.link()).status_code == 200
    assert world.is_untouched()
    assert world.store.journal == []
    assert world.consent().status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: f"/consent/{NAME}",
        lambda _: f"/consent/{NAME}?ticket=",
        lambda _: f"/consent/{NAME}?ticket=e30",
        lambda link: link[:-1],
        lambda link: link + "A",
        lambda link: link + "&ticket=x",
        lambda link: link.replace("ticket=", "ticket=A"),
        lambda _: f"/consent/{NAME}?ticket=" + "A" * 5000,
        lambda _: f"/consent/{NAME}?ticket=%00%ff%f0%9f%98%80",
        lambda link: link.replace(NAME, "gmail-bob"),
    ],
    ids=["none", "empty", "unsigned", "short", "long", "two", "changed", "huge", "no text", "another connection's"],
)
def test_a_forged_or_swapped_ticket_opens_nothing(world: ConsentWorld, spoil: Any, method: str) -> None:
    if spoil(world.link()).startswith("/consent/gmail-bob"):
        world.store.declare("gmail-bob-refresh-token", scopes="mail.read")
    page = world.browser.open(spoil(world.link()), method=method)
    assert refused(page)
    assert "gmail-" not in page.get_data(as_text=True)
    assert world.is_untouched()


def test_a_ticket_signed_with_another_key_or_for_another_purpose_opens_nothing(world: ConsentWorld) -> None:
    other = Tickets(Secret("another-key"), BASE, 1000, world.clock)
    link = other.url(NAME, 0)
    assert link is not None
    assert refused(world.open(link.removeprefix(BASE)))
    assert refused(world.open(f"/consent/{NAME}?ticket={world.tickets.action(NAME)}"))


def test_without_a_key_nothing_that_is_signed_with_nothing_is_accepted(world: ConsentWorld) -> None:
    keyless, other = (Tickets(Secret(""), BASE, 1000, world.clock) for _ in range(2))
    link = other.url(NAME, 0)
    assert link is not None
    world.tickets = keyless
    world.reconsent = world.instance()
    assert refused(world.open(link.removeprefix(BASE)))


def test_an_expired_ticket_opens_nothing(world: ConsentWorld) -> None:
    link = world.link()
    world.clock.now += world.settings.consent_ticket_ttl + 2
    assert title(world.open(link)) == "This link has expired"
    assert refused(world.browser.post(link))


def test_a_ticket_is_spent_by_the_consent_it_was_made_for(world: ConsentWorld) -> None:
    link = world.link()
    assert world.consent().status_code == 200
    other = world.new_browser()
    assert title(other.get(link)) == "This link has been used"
    assert refused(other.get(link))
    assert refused(other.post(link))
    assert world.open(world.link(1)).status_code == 200
    assert refused(world.open(world.link(2)))


@pytest.mark.parametrize("destroyed", [False, True], ids=["a newer version", "a newer version, destroyed"])
def test_versions_that_no_consent_has_added_spend_nothing(world: ConsentWorld, *, destroyed: bool) -> None:
    link = world.link()
    world.start(link)
    for number in (2, 3):
        world.store.add(SECRET, b'{"refresh_token": "rotated"}')
        if destroyed:
            world.store.destroy(SECRET, number)
    assert world.open(link).status_code == 200
    assert is_saved(world.finish())
    assert world.store.newest() == 4


def test_a_change_of_the_key_ends_neither_a_link_nor_a_consent_under_way(world: ConsentWorld) -> None:
    link = world.link()
    world.start(link)
    verifier = world.endpoint.ask["code_challenge"]
    world.use_key(f"{NEW_KEY}\n{KEY.reveal()}\n")
    assert world.open(link).status_code == 200
    assert is_saved(world.finish())
    sent = world.endpoint.redeemed[0]["code_verifier"].reveal()
    assert base64.urlsafe_b64encode(hashlib.sha256(sent.encode()).digest()).rstrip(b"=").decode() == verifier


def test_a_key_that_is_gone_verifies_nothing_and_the_first_of_several_signs(world: ConsentWorld) -> None:
    world.use_key(f"{NEW_KEY}\n{KEY.reveal()}")
    link = world.link(0)
    world.use_key(NEW_KEY)
    assert world.open(link).status_code == 200
    world.use_key(KEY.reveal())
    assert refused(world.open(link))


def test_a_link_of_the_first_edition_has_expired_and_is_not_forged(world: ConsentWorld) -> None:
    def sign(key: Secret, salt: str) -> str:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(NOW)

        options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        text = URLSafeTimedSerializer(key.reveal(), salt=salt, signer=Signer, signer_kwargs=options).dumps([NAME, 0])
        return f"/consent/{NAME}?ticket={text if isinstance(text, str) else text.decode()}"

    assert title(world.open(sign(KEY, "token-refresh.ticket"))) == "This link has expired"
    assert title(world.open(sign(Secret("another"), "token-refresh.ticket"))) == "This link is not complete"
    assert title(world.open(sign(KEY, "token-refresh.action"))) == "This link is not complete"


@few
@given(text=st.text(alphabet=string.printable + "é\u2028", max_size=300))
def test_no_text_is_a_ticket_and_none_breaks_the_page(text: str) -> None:
    world = ConsentWorld()
    page = world.browser.get(f"/consent/{NAME}", query_string={"ticket": text})
    assert refused(page)


# -- state -----------------------------------------------------------------------------------------------------------


def test_a_missing_state_is_refused(world: ConsentWorld) -> None:
    world.start()
    assert refused(world.finish(state=""))
    assert world.is_untouched()


def test_a_state_of_another_browser_is_refused(world: ConsentWorld) -> None:
    victim, attacker = world.new_browser(), world.new_browser()
    world.start(browser=attacker)
    assert refused(world.finish(browser=victim))
    assert world.endpoint.redeemed == []
    assert world.is_untouched()


def test_a_cookie_under_the_name_of_another_state_is_refused(world: ConsentWorld) -> None:
    world.start()
    _, first = world.cookie()
    other = world.new_browser()
    asked = world.start(browser=other)
    name, _ = world.cookie(other)
    attacked = world.new_browser()
    attacked.set_cookie(name, first)
    assert refused(world.finish(browser=attacked, state=asked["state"]))
    assert world.is_untouched()


def test_a_state_is_good_for_one_answer(world: ConsentWorld) -> None:
    world.start()
    name, value = world.cookie()
    world.endpoint.reply = {"refresh_token": None}
    assert title(world.finish()) == "The permission would not last"
    world.browser.set_cookie(name, value)
    world.endpoint.reply = {}
    assert refused(world.finish())
    assert world.is_untouched()


def test_a_state_that_has_done_its_work_is_good_for_nothing(world: ConsentWorld) -> None:
    world.start()
    name, value = world.cookie()
    world.finish()
    for browser in (world.browser, world.new_browser()):
        browser.set_cookie(name, value)
        assert refused(world.finish(browser=browser))
    world.reconsent = world.instance()  # another instance has not seen it, and finds the ticket spent
    assert refused(world.finish())
    assert len(world.endpoint.redeemed) == 1
    assert world.store.newest() == 2


def test_a_state_is_forgotten_after_an_hour(world: ConsentWorld) -> None:
    world.start()
    world.clock.now += 3602
    assert title(world.finish()) == "That took too long"
    assert world.is_untouched()


def test_a_code_of_another_session_is_redeemed_with_this_sessions_verifier_only(world: ConsentWorld) -> None:
    # The provider refuses it then (RFC 7636, section 4.6): that is what PKCE is for.
    attacker = world.new_browser()
    world.start(browser=attacker)
    theirs = world.endpoint.ask
    world.start()
    world.finish(code="code-of-the-attacker")
    sent = world.endpoint.redeemed[0]
    assert sent["code"].reveal() == "code-of-the-attacker"
    assert sent["code_verifier"].reveal() not in str(theirs)
    assert world.endpoint.ask["code_challenge"] != theirs["code_challenge"]


@pytest.mark.parametrize(
    "query",
    [
        f"code={CODE}&code=other&state=STATE",
        f"code={CODE}&state=STATE&state=STATE",
        f"code={CODE}&state=STATE&error=access_denied",
        "state=STATE",
        f"code={'A' * 9000}&state=STATE",
        f"code={CODE}&state=STATE&iss={'A' * 2000}",
        f"code={CODE}&state={'A' * 3000}",
        f"code={CODE}&state=%00%ff",
    ],
    ids=["two codes", "two states", "code and error", "neither", "huge code", "huge iss", "huge state", "no text"],
)
def test_a_callback_that_breaks_the_protocol_is_refused(world: ConsentWorld, query: str) -> None:
    asked = world.start()
    assert refused(world.browser.get("/callback?" + query.replace("STATE", asked["state"])))
    assert world.endpoint.redeemed == []
    assert world.is_untouched()


def test_an_address_of_any_length_is_answered(world: ConsentWorld) -> None:
    assert world.browser.get("/callback?" + "a" * 100_000).status_code == 414


@few
@given(query=st.dictionaries(st.sampled_from(["code", "state", "iss", "error", "x"]), st.text(max_size=50)))
def test_no_query_breaks_the_callback(query: dict[str, str]) -> None:
    world = ConsentWorld()
    assert refused(world.browser.get("/callback", query_string=query))


# -- issuer and ID token ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iss", ["https://evil.example", ISSUER + "/", ISSUER.upper(), "nonsense"])
def test_a_wrong_iss_is_refused_before_the_code_is_sent_anywhere(world: ConsentWorld, iss: str) -> None:
    assert refused(world.consent(iss=iss))
    assert world.endpoint.redeemed == []
    assert world.is_untouched()


def test_a_wrong_iss_is_refused_with_an_error_too(world: ConsentWorld) -> None:
    page = world.consent(iss="https://evil.example", code="", error="access_denied")
    assert title(page) == "The answer came from somewhere else"


def test_an_iss_need_not_be_sent_unless_the_definition_says_so(world: ConsentWorld) -> None:
    assert is_saved(world.consent(iss=""))
    strict = ConsentWorld(iss_required=True)
    assert title(strict.consent(iss="")) == "The answer came from somewhere else"
    assert strict.endpoint.redeemed == []
    assert is_saved(strict.consent())


@pytest.mark.parametrize(("iss", "status"), [("https://provider.example/realms/x", 200), ("https://evil.example", 403)])
def test_without_a_known_issuer_the_origin_must_be_that_of_the_authorization_endpoint(iss: str, status: int) -> None:
    world = ConsentWorld(issuer=None)
    world.endpoint.claims = {"iss": iss}
    assert world.consent(iss=iss).status_code == status


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["id-1", "another-client"]},
        {"aud": "id-1", "azp": "another-client"},
        {"exp": NOW - 60},
        {"exp": "soon"},
        {"exp": None},
        {"nonce": "another-nonce"},
        {"nonce": None},
        {"nonce": 7},
    ],
    ids=["iss", "aud", "aud without azp", "azp", "expired", "exp text", "no exp", "nonce", "no nonce", "nonce number"],
)
def test_an_id_token_that_does_not_hold_is_refused(world: ConsentWorld, claims: dict[str, object]) -> None:
    world.endpoint.claims = claims
    assert refused(world.consent())
    assert world.is_untouched()


@pytest.mark.parametrize("token", [None, Secret("a.b"), Secret("a.e30.c.d"), Secret("a.!!!.c"), Secret("a.WzFd.c")])
def test_a_missing_or_broken_id_token_is_refused(world: ConsentWorld, token: Secret | None) -> None:
    world.endpoint.reply = {"id_token": token}
    assert refused(world.consent())
    assert world.is_untouched()


def test_an_id_token_of_another_request_is_refused(world: ConsentWorld) -> None:
    world.start()
    stolen = id_token(iss=ISSUER, aud="id-1", exp=NOW + 60, nonce=world.endpoint.ask["nonce"], sub="mallory")
    world.endpoint.reply = {"id_token": stolen}
    world.start()
    assert refused(world.finish())
    assert world.is_untouched()


# -- account and scopes ----------------------------------------------------------------------------------------------


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


# -- redirects, markup -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["next", "redirect_uri", "url", "return_to", "continue"])
def test_nothing_in_the_address_chooses_where_the_browser_is_sent(world: ConsentWorld, name: str) -> None:
    response = world.browser.post(f"{world.link()}&{name}=https://evil.example")
    assert response.headers["Location"].startswith(f"{ISSUER}/authorize?")
    assert "evil" not in response.headers["Location"]
    world.start()
    page = world.finish(None, **{name: "https://evil.example"})
    assert "Location" not in page.headers
    assert "evil" not in page.get_data(as_text=True)


def test_a_host_header_chooses_nothing(world: ConsentWorld) -> None:
    response = world.browser.post(world.link(), headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert "evil" not in response.headers["Location"]


MARKUP = '"><script>alert(1)</script>{{191*211}}'


@pytest.mark.parametrize("where", ["scopes", "owner"])
def test_markup_in_an_annotation_is_text(world: ConsentWorld, where: str) -> None:
    world.store.note(where, MARKUP.replace(" ", ""))
    text = world.open().get_data(as_text=True)
    assert "<script>" not in text
    assert "40301" not in text
    assert html.escape("<script>") in text


@pytest.mark.parametrize(
    "path", ["/consent/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/%22%3E%3Cscript%3E", "/consent/..%2f..%2fcallback"]
)
def test_markup_in_a_name_or_path_is_not_even_shown(world: ConsentWorld, path: str) -> None:
    response = world.browser.get(path)
    assert response.status_code == 404
    assert "script" not in response.get_data(as_text=True)


def test_markup_from_the_provider_is_text(world: ConsentWorld) -> None:
    text = world.consent(code="", error="oops<script>", error_description=MARKUP).get_data(as_text=True)
    assert "<script>" not in text
    assert "40301" not in text


def test_a_log_line_cannot_be_forged(world: ConsentWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "token_refresh")
    world.browser.get("/consent/gmail-alice?ticket=%0aSEVERITY%3dERROR")
    world.browser.get("/callback?state=%0aSEVERITY%3dERROR&code=x")
    assert "SEVERITY" not in caplog.text
    assert KEY.reveal() not in caplog.text
