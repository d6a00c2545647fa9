"""From a dead grant to a fresh one: what the workflow does when everybody plays fair."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.worlds.consents import (
    BASE,
    CANARIES,
    CODE,
    DEAD,
    NAME,
    NEW_TOKEN,
    NOW,
    OWNER,
    SECRET,
    ConsentWorld,
    is_saved,
    title,
)
from token_refresh.consent.answers import Context, Redirect
from token_refresh.core.consent.session import Cookie
from token_refresh.core.incident.incident import event_type_of
from token_refresh.core.provider.definition import ANY, SubjectSource
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import Lease, parse_status, render_lease, render_status
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Unavailable,
    UnknownOutcome,
)
from token_refresh.errors import ReplyLost
from token_refresh.instance.pace import Paces

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world() -> ConsentWorld:
    return ConsentWorld()


def test_the_page_explains_and_changes_nothing(world: ConsentWorld) -> None:
    page = world.open()
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert title(page) == f"Renew access for {NAME}"
    for word in (OWNER, "mail.read", "provider.example", "no longer accepts the permission", "Example Inc."):
        assert word in text.replace("<wbr>", "")
    assert world.is_untouched()
    assert world.store.journal == []


def test_the_button_leads_to_the_provider_with_everything_that_is_needed(world: ConsentWorld) -> None:
    response = world.browser.post(world.link())
    url = urlsplit(response.headers["Location"])
    asked = world.start()
    assert (url.scheme, url.netloc, url.path) == ("https", "provider.example", "/authorize")
    assert asked["response_type"] == "code"
    assert asked["client_id"] == "id-1"
    assert asked["redirect_uri"] == f"{BASE}/callback"
    assert set(asked["scope"].split()) == {"openid", "email", "mail.read"}
    assert asked["code_challenge_method"] == "S256"
    assert asked["login_hint"] == OWNER
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    assert world.is_untouched()


def test_the_verifier_that_is_redeemed_belongs_to_the_challenge_and_travels_nowhere_else(world: ConsentWorld) -> None:
    asked = world.start()
    _, cookie = world.cookie()
    world.finish()
    verifier = world.endpoint.redeemed[0]["code_verifier"].reveal()
    digest = hashlib.sha256(verifier.encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert verifier not in cookie
    assert verifier not in "".join(world.seen)


def test_a_new_grant_replaces_the_dead_one(world: ConsentWorld) -> None:
    page = world.consent()
    assert page.status_code == 200
    assert title(page) == "Saved. The first token is being fetched."
    assert json.loads(world.store.payloads(SECRET)[2]) == {
        "refresh_token": NEW_TOKEN,
        "note": "kept",
        "issued_at": int(NOW),
        "scope": "openid email mail.read",
        "sub": "alice-1",
    }
    assert world.store.annotation("status") is None
    assert world.store.annotation("subject") == "alice-1"
    assert world.publisher.refresh_requests == [{"connections": [NAME], "versions": {NAME: 2}}]
    (recovered,) = world.publisher.events
    assert (recovered.type, recovered.subject) == ("recovered", NAME)
    assert (recovered.data["connection_secret"], recovered.data["version"]) == (SECRET, 2)


def test_the_version_is_durable_before_anything_is_said_and_the_news_is_owed_until_it_is_out(
    world: ConsentWorld,
) -> None:
    world.consent()
    own = [(what, where) for what, where in world.store.journal if what != "annotate"]
    assert own == [("add", SECRET), ("publish", "recovered")]
    assert [what for what, _ in world.store.journal] == ["annotate", "add", "annotate", "publish", "annotate"]


def test_a_spec_annotation_is_never_changed(world: ConsentWorld) -> None:
    before = world.store.annotations(SECRET)
    world.consent()
    after = world.store.annotations(SECRET)
    assert {k: after[k] for k in ("token-refresh.scopes", "token-refresh.owner")} == {
        k: before[k] for k in ("token-refresh.scopes", "token-refresh.owner")
    }


def test_the_first_consent_of_a_new_connection_takes_the_same_road(world: ConsentWorld) -> None:
    world.store.forget_versions()
    never = render_status(DEAD).replace("revoked_or_expired", "never_consented").replace('"version": 1', '"version": 0')
    world.store.note("status", never)
    assert title(world.open(world.link(0))) == f"Allow access for {NAME}"
    world.start(world.link(0))
    assert world.finish().status_code == 200
    assert json.loads(world.store.payloads(SECRET)[1])["refresh_token"] == NEW_TOKEN


def test_a_healthy_connection_may_be_renewed_and_nothing_is_said_about_it(world: ConsentWorld) -> None:
    world.store.note("status", None)
    assert "You can renew it at any time" in world.open().get_data(as_text=True)
    assert world.consent().status_code == 200
    assert world.store.newest() == 2
    assert world.publisher.events == []


def test_text_stays_text(world: ConsentWorld) -> None:
    world.store.set_payload(b"  bare-token\n")
    world.consent()
    assert world.store.payloads(SECRET)[2] == NEW_TOKEN.encode()


def test_a_payload_with_its_own_client_keeps_it_and_is_asked_with_it(world: ConsentWorld) -> None:
    own = {"type": "authorized_user", "refresh_token": "x", "client_id": "own-1", "client_secret": "own-secret"}
    world.store.set_payload(json.dumps(own).encode())
    asked = world.start()
    assert asked["client_id"] == "own-1"
    assert world.finish().status_code == 200
    assert world.endpoint.redeemed[0]["client"].client_id == "own-1"
    stored = json.loads(world.store.payloads(SECRET)[2])
    assert {**own, "refresh_token": NEW_TOKEN}.items() <= stored.items()


def test_an_unreadable_payload_is_simply_replaced(world: ConsentWorld) -> None:
    world.store.set_payload(b'{"refresh_token": ')
    world.consent()
    assert json.loads(world.store.payloads(SECRET)[2])["refresh_token"] == NEW_TOKEN


@pytest.mark.parametrize(
    "payload",
    [{"type": "service_account", "client_email": "a@b", "private_key": "k"}, {"client_id": "a", "client_secret": "b"}],
    ids=["service account", "client credentials"],
)
def test_a_connection_with_a_key_of_its_own_needs_no_consent(world: ConsentWorld, payload: dict[str, str]) -> None:
    world.store.set_payload(json.dumps(payload).encode())
    assert title(world.open()) == "Nothing is needed"


def test_what_the_callback_tells_besides_is_kept_in_the_payload_where_the_definition_has_it() -> None:
    world = ConsentWorld(keep=("realmId", "company"), learned={"realmId": ANY})
    world.consent(realmId="9130", other="x", company="y")
    assert json.loads(world.store.payloads(SECRET)[2])["variables"] == {"realmId": "9130"}


def test_the_known_end_of_the_grant_is_kept(world: ConsentWorld) -> None:
    world.endpoint.reply = {"refresh_token_expires_at": int(NOW) + 1000}
    world.consent()
    assert json.loads(world.store.payloads(SECRET)[2])["expires_at"] == int(NOW) + 1000


def test_scopes_are_as_asked_when_the_reply_is_silent(world: ConsentWorld) -> None:
    world.endpoint.reply = {"scope": None}
    world.consent()
    assert json.loads(world.store.payloads(SECRET)[2])["scope"] == "openid mail.read email"


def test_a_provider_that_rotates_gets_a_released_lease_that_names_the_new_version() -> None:
    world = ConsentWorld(rotates_refresh_tokens="always")
    world.consent()
    assert world.store.annotation("lease") == render_lease(Lease("", 0, 2))


def test_a_provider_that_never_rotates_is_left_without_a_lease(world: ConsentWorld) -> None:
    world.consent()
    assert world.store.annotation("lease") is None


def test_a_run_in_progress_is_waited_for(world: ConsentWorld) -> None:
    world.store.note("lease", render_lease(Lease("run", NOW + 1, 1)))
    assert world.consent().status_code == 200
    assert NOW + 1 <= world.clock.now <= NOW + 5


def test_a_run_that_does_not_end_is_waited_for_half_a_minute_and_then_the_grant_is_added_all_the_same(
    world: ConsentWorld, caplog: pytest.LogCaptureFixture
) -> None:
    lease = render_lease(Lease("run", NOW + 600, 1))
    world.store.note("lease", lease)
    assert is_saved(world.consent())
    assert world.clock.now == NOW + 30
    assert world.store.newest() == 2
    assert world.store.annotation("lease") == lease  # still the run's
    assert world.store.annotation("consents") == "1"
    assert world.store.annotation("status") is None
    assert sum(what == "get" for what, _ in world.store.calls) < 20
    assert "stays held" in caplog.text


def test_an_abandoned_lease_comes_back_as_it_was_when_nothing_was_stored(world: ConsentWorld) -> None:
    abandoned = render_lease(Lease("dead-run", NOW - 5, 1))
    world.store.note("lease", abandoned)
    world.endpoint.outcome = Unavailable("http_503")
    assert world.consent().status_code == 502
    assert world.store.annotation("lease") == abandoned


def test_a_status_written_meanwhile_is_read_again(world: ConsentWorld) -> None:
    def run() -> None:
        world.store.note("status", render_status(DEAD).replace('"attempts": 2', '"attempts": 3'))

    world.store.before_annotate = [lambda: None, run]
    assert world.consent().status_code == 200
    assert world.store.annotation("status") is None
    assert len(world.publisher.events) == 1


def test_what_the_topic_does_not_take_is_owed(world: ConsentWorld) -> None:
    world.publisher.down = True
    assert world.consent().status_code == 200
    left = parse_status(world.store.annotation("status"))
    assert left is not None
    assert (left.state, len(left.owed), left.event_id) == ("healthy", 1, "")
    assert event_type_of(left.owed[0]) == "recovered"


def test_an_owed_event_has_the_id_that_would_have_been_published(world: ConsentWorld) -> None:
    world.publisher.down = True
    world.consent()
    left = parse_status(world.store.annotation("status"))
    other = ConsentWorld()
    other.consent()
    assert left is not None
    assert left.owed == (other.publisher.events[0].id,)


def test_the_incident_of_a_client_is_left_to_the_run(world: ConsentWorld) -> None:
    status = render_status(DEAD).replace("}", ', "client_event_id": "client_rejected-1.client"}')
    world.store.note("status", status)
    world.consent()
    assert world.store.annotation("status") == status
    assert world.publisher.refresh_requests


def test_a_refresh_topic_that_is_down_is_no_matter_of_the_owners(world: ConsentWorld) -> None:
    world.publisher.refresh_topic_down = True
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_an_add_is_tried_again(world: ConsentWorld) -> None:
    world.store.faults.fail("add", times=3)
    assert world.consent().status_code == 200
    assert world.store.newest() == 2


def test_an_add_that_keeps_failing_is_confessed(world: ConsentWorld) -> None:
    world.store.faults.fail("add", times=99)
    page = world.consent()
    assert (page.status_code, title(page)) == (503, "The new permission could not be saved")
    assert world.is_untouched()


def test_a_store_that_is_down_is_confessed(world: ConsentWorld) -> None:
    link = world.link()
    world.store.down = True
    assert world.open(link).status_code == 503


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


@pytest.mark.parametrize(
    "break_it",
    [
        lambda w: w.store.note("scopes", None),
        lambda w: w.store.cloud.secrets.pop("oauth-client-acme"),
        lambda w: w.providers.clear(),
        lambda w: w.store.note("variables", "nonsense"),
        lambda w: w.store.note("owner", None),
    ],
    ids=["no scopes", "no client", "no provider", "nonsense", "no owner"],
)
def test_what_is_not_set_up_names_the_operator(world: ConsentWorld, break_it: Any) -> None:
    break_it(world)
    page = world.open()
    assert (page.status_code, title(page)) == (200, "This connection is not set up yet")
    assert "Tell Example Inc." in page.get_data(as_text=True)
    assert "Please name this number:" in page.get_data(as_text=True), "the operators find it in the log"
    assert "oauth-client" not in page.get_data(as_text=True)


def test_a_connection_that_is_gone_is_said_to_be(world: ConsentWorld) -> None:
    link = world.link()
    del world.store.cloud.secrets[SECRET]
    assert world.open(link).status_code == 404


def test_a_secret_that_may_not_be_looked_at_does_not_hide_the_connection(world: ConsentWorld) -> None:
    # Without a role on the project, a secret that does not exist reads as "permission denied".
    fetch = world.store.get

    def get(secret_id: str) -> Any:
        if secret_id == NAME:
            world.store.down = True
        try:
            return fetch(secret_id)
        finally:
            world.store.down = False

    world.store.get = get  # type: ignore[method-assign]
    assert world.open().status_code == 200


def test_log_lines_tell_the_steps_and_no_secret(world: ConsentWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "token_refresh")
    link = world.link()
    world.open(link)
    asked = world.start(link)
    world.finish()
    world.finish()
    fields = [getattr(record, "json_fields", {}) for record in caplog.records]
    steps = [one["step"] for one in fields if one.get("event") == "consent"]
    assert steps == ["page", "redirected", "granted", "already_done"]
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (*CANARIES, asked["state"], asked["nonce"], link.partition("ticket=")[2]):
        assert secret not in text


def test_no_secret_reaches_a_page_a_header_an_event_or_an_annotation(world: ConsentWorld) -> None:
    link = world.link()
    world.open(link)
    world.start(link)
    world.finish()
    told = (
        "".join(world.seen)
        + str([event.data for event in world.publisher.events])
        + str(world.publisher.refresh_requests)
    )
    told += str([world.store.annotations(secret_id) for secret_id in world.store.cloud.secrets])
    for secret in (*CANARIES, link.partition("ticket=")[2]):
        assert secret not in told


def test_pages_allow_no_frame_no_referrer_no_cache_and_no_script_but_the_one_that_looks_again(
    world: ConsentWorld,
) -> None:
    done = world.consent()
    for page in (world.open(world.link(1)), world.finish(), done, world.open("/consent/x"), world.open("/nowhere")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert ("script-src 'sha256-" in policy) == (page is done)
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Strict-Transport-Security"].startswith("max-age=")
        assert "camera=()" in page.headers["Permissions-Policy"]
        assert page.get_data(as_text=True).count("<script") == (page is done)


def test_the_session_cookie_is_for_this_browser_only(world: ConsentWorld) -> None:
    response = world.browser.post(world.link())
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=3600" in cookie


def test_under_https_the_cookie_is_bound_to_the_host() -> None:
    world = ConsentWorld()
    secure = type(world.tickets)(Secret("k"), "https://consent.example", 60, world.clock)
    world.tickets = secure
    world.reconsent = world.instance()
    link = secure.url(NAME, 0)
    assert link is not None
    cookie = world.browser.post(link.removeprefix("https://consent.example")).headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie
    assert "Path=/" in cookie


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/consent/", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/consent/a/b", 404),
        ("PUT", "/consent/gmail-alice", 405),
        ("DELETE", "/callback", 405),
        ("POST", "/callback", 405),
        ("GET", "/consent/gmail-alice", 403),
        ("GET", "/callback", 403),
    ],
)
def test_other_paths_and_methods_are_refused(world: ConsentWorld, method: str, path: str, status: int) -> None:
    assert world.browser.open(path, method=method).status_code == status


def test_a_path_prefix_of_the_deployment_does_not_matter(world: ConsentWorld) -> None:
    assert world.open("/token-refresh-consent" + world.link()).status_code == 200


def test_the_error_page_shows_the_code_only_once_it_is_masked(world: ConsentWorld) -> None:
    page = world.consent(code="", error="access_denied", error_description="no " * 400)
    assert len(page.get_data(as_text=True)) < 20_000
    assert CODE not in page.get_data(as_text=True)


def test_many_consents_at_once_are_staggered() -> None:
    world = ConsentWorld()
    world.paces = Paces(0.5, world.clock, world.clock.sleep)
    world.reconsent = world.instance()
    world.endpoint.reply = {"refresh_token": None}
    for _ in range(4):
        world.consent()
    assert world.clock.now == pytest.approx(NOW + 6)


@pytest.mark.parametrize("consents", [0, 1, 2**31])
@pytest.mark.parametrize("name", ["a", "A-z_9" * 51])
def test_a_link_of_any_connection_is_read_back(world: ConsentWorld, name: str, consents: int) -> None:
    link = world.tickets.url(name, consents)
    assert link is not None
    ticket = world.tickets.read(link.partition("ticket=")[2])
    assert (ticket.connection, ticket.consents) == (name, consents)
    assert len(link) < 800


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            Redirect("https://provider.example/authorize?state=CANARY", Cookie("n", "CANARY", 60)), id="redirect"
        ),
        pytest.param(Context(state="CANARY"), id="context"),
    ],
)
def test_no_repr_shows_where_a_consent_leads(value: object) -> None:
    assert "CANARY" not in repr(value)
