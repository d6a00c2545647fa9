"""The main job as a story, on the local stack: no cloud, no account, half a minute.

It ends with status 0 when everything came out as the story says, with 1 otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import webbrowser
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import requests
from google.pubsub_v1.types import PubsubMessage
from rich.console import Console

from infra.local.demo.browser import Browser
from infra.local.demo.facts import Events, UnexpectedError, ask, eventually, expect, find_mail
from infra.local.demo.library import call_as_job
from infra.local.demo.samples import Sample, Secrets
from infra.local.demo.telling import Teller
from infra.local.demo.watch import watch_run
from infra.local.stack import Stack

ROTATING = "local-rotating"
GOOGLE = "local-google"
SAMPLES = (
    Sample("gmail-ada", "Google-like", GOOGLE, "ada@example.com", "mailbox"),
    Sample("gmail-grace", "Google-like", GOOGLE, "grace@example.com", "mailbox"),
    Sample("drive-edsger", "Google-like", GOOGLE, "edsger@example.com", "mailbox"),
    Sample("crm-ada", "rotating", ROTATING, "ada@example.com", "crm"),
    Sample("crm-grace", "rotating", ROTATING, "grace@example.com", "crm"),
    Sample("crm-barbara", "rotating", ROTATING, "barbara@example.com", "crm"),
    Sample(
        "gmail-alan", "revoked", GOOGLE, "alan@example.com", "mailbox",
        purpose="Reads the invoices in your mailbox and files them.",
    ),
    Sample("crm-alan", "revoked", ROTATING, "alan@example.com", "crm"),
    Sample("billing-ada", "wrong client", GOOGLE, "ada@example.com", "billing"),
    Sample("billing-grace", "wrong client", GOOGLE, "grace@example.com", "billing"),
    Sample("calendar-barbara", "never consented", GOOGLE, "barbara@example.com", "mailbox"),
    Sample("calendar-edsger", "never consented", GOOGLE, "edsger@example.com", "mailbox"),
)  # fmt: skip
EXPECTED = {
    "Google-like": "refreshed",
    "rotating": "refreshed",
    "revoked": "needs_consent",
    "wrong client": "rejected",
    "never consented": "needs_consent",
}
RECONSENTED = ("gmail-alan", "calendar-barbara")
STILL_WAITING = ("calendar-edsger", "crm-alan")
PASSWORD = "demo"  # noqa: S105 - of every sample account
PROVIDER_SECONDS = 0.7
CONFIRM_AFTER = 1
SETTINGS = {
    # The provider answers a second request at once: no need to let a quarter of an hour pass before asking twice.
    "CONFIRM_AFTER": str(CONFIRM_AFTER),
    "CONSENT_NAME": "Example Bookkeeping",
    "CONSENT_CONTACT": "it@example.com",
}
JSON_TYPE = "application/json"


@dataclass
class Scene:
    """What the chapters share."""

    stack: Stack
    secrets: Secrets
    tell: Teller
    events: Events


def demo() -> int:
    """Tell the story; then, on a terminal, serve the status page until stopped."""
    tell = Teller(Console())
    tell.say("token-refresh: the whole story on this machine. Nothing leaves it.")
    with Stack(environment=SETTINGS) as stack, closing(Secrets(stack)) as secrets:
        scene = Scene(stack, secrets, tell, Events(stack))
        try:
            for chapter in CHAPTERS:
                chapter(scene)
        except UnexpectedError as difference:
            tell.say(f"This is not how it should have come out: {difference}", "red")
            return 1
        invite(scene)
        if sys.stdin.isatty():
            if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
                webbrowser.open(stack.functions["status"].url)
            threading.Event().wait()
    return 0


def declare(scene: Scene) -> None:
    """Set up clients, owners, grants and connections."""
    stack, secrets = scene.stack, scene.secrets
    server = stack.authorization_server
    scene.tell.chapter("Twelve connections, each declared by one labelled secret")
    for owner in {sample.owner for sample in SAMPLES}:
        server.create_user(owner)
    secrets.declare_client("mailbox", provider=GOOGLE)
    secrets.declare_client("crm", provider=ROTATING, rotates_refresh_tokens=True, reuse_protection=True)
    secrets.declare_client("billing", provider=GOOGLE, client_secret="mistyped")  # noqa: S106 - it is wrong on purpose
    for sample in SAMPLES:
        never = sample.shows == "never consented"
        refresh_token = "" if never else server.create_grant(sample.client, sample.owner)
        secrets.declare(sample, refresh_token)
        if sample.shows == "revoked":
            server.revoke(refresh_token)
    scene.tell.say(
        f"Running on loopback: a Secret Manager, a Pub/Sub ({stack.pubsub.kind}), an OAuth server "
        f"(django-oauth-toolkit), a mail server and the {len(stack.functions)} functions."
    )
    scene.tell.say(
        "Two grants have been revoked, two were never given, and the client secret of `billing` is mistyped."
    )
    scene.tell.address("Watch it in a browser:", stack.functions["status"].url)


def refresh(scene: Scene) -> None:
    """Run until every refusal is confirmed, and hold the outcomes against what each sample shows."""
    scene.tell.chapter("A refresh run, as Cloud Scheduler asks for every five minutes")
    # Slow enough to watch.
    scene.stack.authorization_server.fail(times=0, delay=PROVIDER_SECONDS)
    outcomes = run(scene, SAMPLES)
    if suspects := [sample for sample in SAMPLES if outcomes.get(sample.name) == "suspect"]:
        scene.tell.say("One refusal proves nothing: a suspect is asked about again before anybody hears of it.")
        time.sleep(CONFIRM_AFTER)
        outcomes |= run(scene, suspects)
    scene.stack.authorization_server.clear_faults()
    for sample in SAMPLES:
        expect(outcomes.get(sample.name) == EXPECTED[sample.shows], f"{sample.name} is {outcomes.get(sample.name)}")
    scene.tell.row("refreshed    ", "a new access token is stored; nothing else to do", "green")
    scene.tell.row("needs_consent", "only its owner can help: gets a mail with a link", "red")
    scene.tell.row("rejected     ", "only the operator can help: no owner is bothered", "magenta")


def use(scene: Scene) -> None:
    """Use each fresh access token, as a job and with Google's own library."""
    tell, account = scene.tell, scene.stack.metadata.account
    tell.chapter("Jobs read the tokens and call the provider with them")
    works = [sample for sample in SAMPLES if EXPECTED[sample.shows] == "refreshed"]
    for sample in works:
        use_token(scene, sample)
    tell.row("200", f"userinfo, with each of the {len(works)} tokens: all belong to their owners", "green")
    name, secret = works[0].name, f"{works[0].name}-access-token"
    tell.say(f"The same without code: google.auth.default() with a credential file, as {account}:")
    refusal = call_as_job(scene.stack, name)
    expect(refusal == "invalid_target", f"a job without permission is told {refusal}")
    tell.row("400", f"{refusal}: IAM does not let that account read {secret}", "red")
    scene.secrets.allow(secret, account)
    owner = call_as_job(scene.stack, name)
    expect(owner == works[0].owner, f"the job acts for {owner}")
    tell.row("200", f"with roles/secretmanager.secretAccessor on it: the library acts for {owner}", "green")


def report(scene: Scene) -> None:
    """Show what was published about the rest."""
    scene.tell.chapter("What was published on token-refresh-events, once per incident")
    awaited = {sample.name for sample in SAMPLES if EXPECTED[sample.shows] == "needs_consent"}
    awaited.add("oauth-client-billing")
    for event in scene.events.wait_for(lambda event: event.attributes["ce-subject"] in awaited, len(awaited)):
        data = json.loads(event.data)
        words = f"{data['message'].rstrip('.')}. Reason {data['reason']}, remedy {data['remedy']}."
        scene.tell.row(f"{short_type(event):<18}", words, "yellow")


def consent_again(scene: Scene) -> None:
    """Play the owner's part for two of the connections."""
    tell = scene.tell
    tell.chapter("The owner gets one mail with one link, and follows it")
    for name in RECONSENTED:
        sample = next(sample for sample in SAMPLES if sample.name == name)
        mail, link = find_mail(scene.stack, sample.owner, name)
        if name == RECONSENTED[0]:
            tell.mail(mail)
        else:
            tell.say(f"To {sample.owner}: {mail.subject}", "bold")
        browser = Browser()
        with closing(browser):
            browser.open(link.strip("<>()\"'.,"))
            browser.go_ahead(email=sample.owner, password=PASSWORD)
            expect(browser.status == requests.codes.ok, f"the consent of {name} ended with {browser.status}")
        tell.say(f"{sample.owner} opens the link, signs in and allows access. The page says: “{browser.heading()}”")
        (event,) = scene.events.wait_for(partial(is_recovery, name), 1)
        tell.row(f"{short_type(event):<12}", json.loads(event.data)["message"], "green")
        use_token(scene, sample)
        tell.row("200         ", f"a new token is there, and belongs to {sample.owner}", "green")


def correct_the_client(scene: Scene) -> None:
    """Play the operator's part: a new version of the client registration."""
    scene.tell.chapter("The operator corrects the client secret of `billing`: no restart")
    known = scene.stack.authorization_server.ask("client", client_id="billing")
    scene.secrets.add("oauth-client-billing", json.dumps({**known, "provider": GOOGLE}))
    samples = [sample for sample in SAMPLES if sample.client == "billing"]
    outcomes = run(scene, samples, force=True)
    expect(set(outcomes.values()) == {"refreshed"}, f"the run says {outcomes}")
    for sample in samples:
        use_token(scene, sample)
    scene.tell.row("200", "both tokens work", "green")


def look_back(scene: Scene) -> None:
    """Say where everything stands now."""
    scene.tell.chapter("Where everything stands now")
    connections = ask(scene.stack.functions["status"].url, headers={"Accept": JSON_TYPE})["connections"]
    still = sorted(one["name"] for one in connections if one["state"] != "healthy")
    expect(still == list(STILL_WAITING), f"these are not healthy: {still}")
    states = Counter(one["state"] for one in connections)
    scene.tell.row(f"{states['healthy']} healthy", "each with a token that a job can read", "green")
    scene.tell.row(f"{len(still):>2} waiting", f"for their owners: {' and '.join(still)}", "red")


def invite(scene: Scene) -> None:
    """Name three things to try, each one line to copy."""
    urls = {name: function.url for name, function in scene.stack.functions.items()}
    scene.tell.chapter("Three things to try")
    if sys.stdin.isatty():
        scene.tell.say("Everything keeps running until you press Ctrl-C. Each is one line to copy:")
    else:
        scene.tell.say("On a terminal everything keeps running; then each is one line to copy:")
    scene.tell.command(
        1,
        f"Be the owner: on the status page copy the consent link of crm-alan, open it, and sign in as "
        f"alan@example.com, password {PASSWORD}",
        urls["status"],
    )
    scene.tell.command(
        2,
        "Refresh one connection now, due or not",
        f"""curl -s {urls["refresh_http"]} -d '{{"connections":["crm-ada"],"force":true}}'""",
    )
    scene.tell.command(
        3,
        "Take the provider down for five calls, run 2 again, and see that no owner is asked",
        f"""curl -s {scene.stack.authorization_server.url}/_local/faults --json '{{"status":503,"times":5}}'""",
    )


CHAPTERS = (declare, refresh, use, report, consent_again, correct_the_client, look_back)


def run(scene: Scene, samples: Sequence[Sample], *, force: bool = False) -> dict[str, str]:
    """Carry out a run and show it; answers outcomes by connection."""
    names = [sample.name for sample in samples]
    body = {"connections": names, "force": force} if len(samples) < len(SAMPLES) else {}
    rows = watch_run(scene.stack, samples, scene.tell.console, body)["connections"]
    return {row["name"]: row["outcome"] for row in rows}


def use_token(scene: Scene, sample: Sample) -> None:
    """Read a connection's newest access token and call userinfo with it."""
    text = eventually(lambda: scene.secrets.latest(f"{sample.name}-access-token"))
    token = json.loads(expect(text, f"{sample.name} has no access token"))["access_token"]
    claims = ask(scene.stack.authorization_server.userinfo_url, headers={"Authorization": f"Bearer {token}"})
    expect(claims["email"] == sample.owner, f"the token of {sample.name} belongs to {claims['email']}")


def short_type(event: PubsubMessage) -> str:
    """Return an event's type without what all have in common."""
    return str(event.attributes["ce-type"]).removeprefix("dev.token-refresh.")


def is_recovery(name: str, event: PubsubMessage) -> bool:
    """Tell whether this event says that the connection has recovered."""
    return event.attributes["ce-subject"] == name and ".recovered." in event.attributes["ce-type"]
