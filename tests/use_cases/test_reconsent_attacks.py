"""Attacks on the consent workflow: each is refused, says how to go on, and leaves the old grant as it was."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.consent_pages import few, refused
from tests.worlds.consents import CODE, ISSUER, KEY, NOW, ConsentWorld, id_token, is_saved, title
from token_refresh.core.secrecy import Secret

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


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
