"""A day on which every function does each thing that takes another permission; played on the local stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing

import jwt
import requests

from infra.local.demo.browser import Browser
from tests.worlds.issuer import KEYS
from tests.worlds.stack import OWNER, StackWorld, eventually

RISC_AUDIENCE = "a-client-id"
JOB = "job@example.iam.gserviceaccount.com"
ASKED = {"token-refresh.owner": OWNER, "token-refresh.scopes": "openid email"}
PASSWORD = "demo"  # of every sample account


def play(world: StackWorld, methods_of: Callable[[str], set[str]]) -> None:
    """Play the day; `methods_of` tells which methods a function has called so far."""
    world.prepare()
    world.stack.authorization_server.create_client(
        "mailbox", redirect_uris=[f"{world.stack.environment['CONSENT_URL']}/callback"]
    )
    refresh(world)
    link = die(world)
    hear(world, methods_of)
    consent_again(link)
    consent_without_a_client(world)
    look(world)
    read_as_a_job(world)
    signal(world)


def refresh(world: StackWorld) -> None:
    """Refresh a grant that stays, one that is replaced, and one whose token is stored as text; clean up."""
    world.declare("mail")
    world.declare("crm", "crm")
    world.declare("text", annotations={"token-refresh.format": "text"})
    for _ in range(3):
        rows = world.run("mail", "crm", "text", force=True)
        assert {row["outcome"] for row in rows.values()} == {"refreshed"}, rows
    # A warm instance knows when the text's predecessor runs out; a cold one asks how old it is.
    world.stack.functions["refresh_http"].restart()
    assert world.post({"clean": True}).status_code == 200


def die(world: StackWorld) -> str:
    """Let a grant die; returns the consent link of the event that tells of it."""
    refresh_token = world.declare("gone", annotations=ASKED)
    world.stack.authorization_server.revoke(refresh_token)
    assert eventually(lambda: world.run("gone")["gone"]["outcome"] == "needs_consent")
    events = [json.loads(event.data) for event in world.pull_events() if event.attributes["ce-subject"] == "gone"]
    return str(events[0]["consent_url"])


def hear(world: StackWorld, methods_of: Callable[[str], set[str]]) -> None:
    """Wait until the owner has been told."""
    assert eventually(lambda: methods_of("notify"))
    assert eventually(lambda: [mail for mail in world.stack.mail.mails() if OWNER in mail.recipients])


def consent_again(link: str) -> None:
    """Be the owner, up to the page that says what has become of it."""
    with closing(Browser()) as browser:
        browser.open(link)
        browser.go_ahead(email=OWNER, password=PASSWORD)
        assert browser.status == requests.codes.ok, browser.page
        assert eventually(lambda: _heading(browser) == "Connected"), browser.heading()


def _heading(browser: Browser) -> str:
    browser.open(browser.url)
    return browser.heading()


def consent_without_a_client(world: StackWorld) -> None:
    """Open the page of a connection whose client registration is not there."""
    world.declare("lost", annotations={**ASKED, "token-refresh.client": "oauth-client-absent"})
    url = world.stack.functions["status"].url
    (row,) = world.send("GET", f"{url}?connection=lost", headers={"Accept": "application/json"}).json()["connections"]
    assert "This connection is not set up yet" in world.send("GET", row["consent_url"]).text


def look(world: StackWorld) -> None:
    """Look at all connections and at one with its history, and press its button."""
    url, as_json = world.stack.functions["status"].url, {"Accept": "application/json"}
    assert world.send("GET", url).status_code == requests.codes.ok
    for view in ("row", "history"):
        assert world.send("GET", f"{url}?view={view}&connection=mail", headers=as_json).status_code == requests.codes.ok
    answer = world.send("POST", url, json={"connection": "mail"})
    assert answer.status_code == requests.codes.accepted, answer.text


def read_as_a_job(world: StackWorld) -> None:
    """Ask for a token that the caller may read, and for one that is not there."""
    secret = f"{world.project}/secrets/mail-access-token"
    binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"serviceAccount:{JOB}"]}
    world.client.set_iam_policy(request={"resource": secret, "policy": {"bindings": [binding]}})
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": world.stack.secret_manager.callers.issue(JOB, 3600),
    }
    for name, status in (("mail", requests.codes.ok), ("unknown", requests.codes.bad_request)):
        audience = f"//token-refresh/connections/{name}"
        answer = world.send("POST", f"{world.stack.functions['token'].url}/token", data={**form, "audience": audience})
        assert answer.status_code == status, answer.text


def signal(world: StackWorld) -> None:
    """Send an event of the issuer about an account."""
    events = {
        "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked": {
            "subject": {"subject_type": "iss-sub", "iss": "https://accounts.google.com", "sub": "1"}
        }
    }
    claims = {"iss": "https://accounts.google.com", "aud": RISC_AUDIENCE, "iat": 1, "jti": "1", "events": events}
    token = jwt.encode(claims, KEYS[0], "RS256", headers={"kid": "k0"})
    answer = world.send(
        "POST",
        world.stack.functions["risc"].url,
        data=token,
        headers={"Content-Type": "application/secevent+jwt"},
    )
    assert answer.status_code == requests.codes.accepted, answer.text
