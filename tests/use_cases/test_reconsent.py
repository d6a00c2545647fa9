"""From a dead grant to a fresh one: what the workflow does when everybody plays fair."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import BASE, DEAD, NEW_TOKEN, NOW, OWNER, ConsentWorld, title
from token_refresh.consent.answers import Context, Redirect
from token_refresh.core.consent.session import Cookie
from token_refresh.core.provider.definition import ANY
from token_refresh.core.status import Lease, render_lease, render_status
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
