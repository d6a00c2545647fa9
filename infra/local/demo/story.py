"""The main job as a story, on the local stack: no cloud, no account, a minute.

It ends with status 0 when everything came out as the story says, with 1 otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import webbrowser
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from rich.console import Console
from rich.markup import escape

from infra.local.demo.browser import Browser
from infra.local.demo.library import call_as_job
from infra.local.demo.samples import Sample, Secrets
from infra.local.demo.watch import STYLES, watch_run
from infra.local.stack import EVENTS_SUBSCRIPTION, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.pubsub_v1.types import PubsubMessage

ROTATING = "local-rotating"
GOOGLE = "local-google"
SAMPLES = (
    Sample("gmail-ada", "Google-like", GOOGLE, "ada@example.com", "mailbox"),
    Sample("gmail-grace", "Google-like", GOOGLE, "grace@example.com", "mailbox"),
    Sample("drive-edsger", "Google-like", GOOGLE, "edsger@example.com", "mailbox"),
    Sample("crm-ada", "rotating", ROTATING, "ada@example.com", "crm"),
    Sample("crm-grace", "rotating", ROTATING, "grace@example.com", "crm"),
    Sample("crm-barbara", "rotating", ROTATING, "barbara@example.com", "crm"),
    Sample("gmail-alan", "revoked", GOOGLE, "alan@example.com", "mailbox"),
    Sample("crm-alan", "revoked", ROTATING, "alan@example.com", "crm"),
    Sample("billing-ada", "wrong client", GOOGLE, "ada@example.com", "billing"),
    Sample("billing-grace", "wrong client", GOOGLE, "grace@example.com", "billing"),
    Sample("calendar-barbara", "never consented", GOOGLE, "barbara@example.com", "mailbox"),
    Sample("calendar-edsger", "never consented", GOOGLE, "edsger@example.com", "mailbox"),
)
EXPECTED = {
    "Google-like": "refreshed",
    "rotating": "refreshed",
    "revoked": "needs_consent",
    "wrong client": "rejected",
    "never consented": "needs_consent",
}
RECONSENTED = ("gmail-alan", "calendar-barbara")
PASSWORD = "demo"  # noqa: S105 -- of every sample account
PROVIDER_SECONDS = 0.7
Fact = TypeVar("Fact")


class UnexpectedError(RuntimeError):
    """The story did not come out as told."""


@dataclass
class Scene:
    """What the chapters share."""

    stack: Stack
    secrets: Secrets
    console: Console
    events: list[PubsubMessage] = field(default_factory=list)
    chapters: int = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.chapters += 1
        self.console.print(f"\n[bold]{self.chapters}  {title}[/bold]", soft_wrap=True, highlight=False)

    def say(self, line: str) -> None:
        """Tell one line; addresses stay in one piece."""
        self.console.print(f"   {line}", soft_wrap=True, highlight=False)


def demo() -> int:
    """Tell the story; then, on a terminal, serve the status page until stopped."""
    console = Console()
    console.print("token-refresh: the whole story on this machine. Nothing leaves it.")
    # The provider answers a second request at once: no need to let a minute pass before asking twice.
    with Stack(environment={"CONFIRM_AFTER": "1"}) as stack, closing(Secrets(stack)) as secrets:
        scene = Scene(stack, secrets, console)
        try:
            for chapter in (
                introduce,
                declare,
                refresh,
                use,
                use_library,
                report,
                consent_again,
                correct_the_client,
                look_back,
            ):
                chapter(scene)
        except UnexpectedError as difference:
            console.print(f"\n[red]This is not how it should have come out:[/red] {difference}", soft_wrap=True)
            return 1
        if sys.stdin.isatty():
            if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
                webbrowser.open(stack.functions["status"].url)
            scene.say("Everything keeps running until you press Ctrl-C.")
            threading.Event().wait()
    return 0


def introduce(scene: Scene) -> None:
    """Name the parts."""
    stack = scene.stack
    scene.chapter("The same infrastructure as in the cloud, on loopback")
    scene.say(f"Secret Manager        {stack.secret_manager.rest_url}  (gRPC {stack.secret_manager.grpc_address})")
    scene.say(f"Pub/Sub               {stack.pubsub.address}  ({stack.pubsub.kind})")
    scene.say(f"authorization server  {stack.authorization_server.url}  (django-oauth-toolkit)")
    for name, function in stack.functions.items():
        scene.say(f"{name:<21} {function.url}")


def declare(scene: Scene) -> None:
    """Set up clients, owners, grants and connections."""
    server, secrets = scene.stack.authorization_server, scene.secrets
    scene.chapter("Sample connections: one labelled secret each, as gcloud or Terraform would declare them")
    for owner in {sample.owner for sample in SAMPLES}:
        server.create_user(owner)
    secrets.declare_client("mailbox")
    secrets.declare_client("crm", rotates_refresh_tokens=True, reuse_protection=True)
    secrets.declare_client("billing", client_secret="mistyped")  # noqa: S106
    for sample in SAMPLES:
        never = sample.shows == "never consented"
        refresh_token = "" if never else server.create_grant(sample.client, sample.owner)
        secrets.declare(sample, refresh_token)
        if sample.shows == "revoked":
            server.revoke(refresh_token)
    scene.say(f"{len(SAMPLES)} connections, 3 OAuth clients. Two grants have been revoked, two never given,")
    scene.say("and somebody mistyped the client secret of `billing`.")


def refresh(scene: Scene) -> None:
    """Run once and hold the outcomes against what each sample shows."""
    scene.chapter(f"A refresh run: curl -X POST {scene.stack.functions['refresh_http'].url}")
    # Slow enough to watch.
    scene.stack.authorization_server.fail(times=0, delay=PROVIDER_SECONDS)
    report = watch_run(scene.stack, SAMPLES, scene.console, {})
    scene.stack.authorization_server.clear_faults()
    outcomes = {one["name"]: one["outcome"] for one in report["connections"]}
    for sample in SAMPLES:
        expect(outcomes.get(sample.name) == EXPECTED[sample.shows], f"{sample.name} is {outcomes.get(sample.name)}")
    scene.say("counts: " + ", ".join(f"{count} {outcome}" for outcome, count in report["counts"].items()))


def use(scene: Scene) -> None:
    """Use each fresh access token."""
    scene.chapter("Each fresh access token, read like a downstream job and used at the provider's userinfo endpoint")
    for sample in SAMPLES:
        if EXPECTED[sample.shows] == "refreshed":
            use_token(scene, sample)


def use_library(scene: Scene) -> None:
    """Let Google's own library fetch a token by itself, first without permission and then with it."""
    scene.chapter("A job with Google's own library and a credential file: no code about tokens, IAM decides")
    name, secret, account = "gmail-ada", "gmail-ada-access-token", scene.stack.metadata.account
    refusal = call_as_job(scene.stack, name)
    expect(refusal == "invalid_target", f"a job without permission is told {refusal}")
    scene.say(f"google.auth.default() as {account}:")
    scene.say(f"[red]400[/red]  {refusal}: it may not read {secret}")
    scene.secrets.allow(secret, account)
    scene.say(f"gcloud secrets add-iam-policy-binding {secret} --role=roles/secretmanager.secretAccessor ...")
    owner = call_as_job(scene.stack, name)
    expect(owner == "ada@example.com", f"the job acts for {owner}")
    scene.say(f"[green]200[/green]  {name:<20} is {owner}")


def report(scene: Scene) -> None:
    """Show what was published about the rest."""
    scene.chapter("What was published on token-refresh-events, once per incident")
    awaited = {sample.name for sample in SAMPLES if EXPECTED[sample.shows] == "needs_consent"}
    awaited.add("oauth-client-billing")
    for event in await_events(scene, lambda event: event.attributes["ce-subject"] in awaited, len(awaited)):
        data = json.loads(event.data)
        scene.say(f"{event.attributes['ce-type']}  {event.attributes['ce-subject']}")
        scene.say(f"    reason {data['reason']}, remedy {data['remedy']}: {data.get('message', '')}")


def consent_again(scene: Scene) -> None:
    """Play the owner's part for two of the connections."""
    scene.chapter("Two owners get a message with one link, and follow it")
    for name in RECONSENTED:
        sample = next(sample for sample in SAMPLES if sample.name == name)
        subject, link = find_mail(scene, sample)
        scene.say(f"To {sample.owner}: [bold]{escape(subject)}[/bold]")
        scene.say(f"    opens {link}")
        browser = Browser()
        with closing(browser):
            browser.open(link)
            browser.go_ahead(email=sample.owner, password=PASSWORD)
            expect(browser.status == requests.codes.ok, f"the consent of {name} ended with {browser.status}")
        page = escape(browser.heading())
        scene.say(f"    presses the button, signs in, allows access; the page says: {page}")
        (event,) = await_events(scene, partial(is_recovery, name), 1)
        scene.say(f"    {event.attributes['ce-type']}: {json.loads(event.data)['message']}")
        use_token(scene, sample)


def correct_the_client(scene: Scene) -> None:
    """Play the operator's part: a new version of the client registration."""
    scene.chapter("The operator corrects the client secret of `billing`: one new version, no restart")
    known = scene.stack.authorization_server.ask("client", client_id="billing")
    scene.secrets.add("oauth-client-billing", json.dumps(known))
    samples = [sample for sample in SAMPLES if sample.client == "billing"]
    body = {"connections": [sample.name for sample in samples], "force": True}
    outcomes = watch_run(scene.stack, samples, scene.console, body)["connections"]
    expect({one["outcome"] for one in outcomes} == {"refreshed"}, f"the run says {outcomes}")
    for sample in samples:
        use_token(scene, sample)


def look_back(scene: Scene) -> None:
    """Show where everything stands now."""
    status = scene.stack.functions["status"].url
    scene.chapter("Where everything stands now")
    connections = get(status, headers={"Accept": "application/json"})["connections"]
    for one in connections:
        style = STYLES.get(one["state"], "default")
        scene.say(f"{one['name']:<20} [{style}]{one['state']}[/] {one.get('reason') or ''}".rstrip())
    still = sorted(one["name"] for one in connections if one["state"] != "healthy")
    expect(still == ["calendar-edsger", "crm-alan"], f"these are not healthy: {still}")
    scene.say(f"Two are left for you: their consent links are on the status page, every password is `{PASSWORD}`.")
    scene.say(f"status page {status}")


def use_token(scene: Scene, sample: Sample) -> None:
    """Read a connection's newest access token and call userinfo with it."""
    text = eventually(lambda: scene.secrets.latest(f"{sample.name}-access-token"))
    token = json.loads(expect(text, f"{sample.name} has no access token"))["access_token"]
    claims = get(scene.stack.authorization_server.userinfo_url, headers={"Authorization": f"Bearer {token}"})
    expect(claims["email"] == sample.owner, f"the token of {sample.name} belongs to {claims['email']}")
    scene.say(f"[green]200[/green]  {sample.name:<20} is {claims['email']}")


def find_mail(scene: Scene, sample: Sample) -> tuple[str, str]:
    """Find the owner's mail with the consent link; answers its subject and the link."""
    mark = f"/consent/{sample.name}?"

    def look() -> tuple[str, str] | None:
        mails = [mail for mail in scene.stack.mail.mails() if sample.owner in mail.recipients]
        links = [(mail.subject, word) for mail in mails for word in mail.text.split() if mark in word]
        return (links[0][0], links[0][1].strip("<>()\"'.,")) if links else None

    return expect(eventually(look), f"no mail with a link for {sample.name} reached {sample.owner}")


def is_recovery(name: str, event: PubsubMessage) -> bool:
    """Tell whether this event says that the connection has recovered."""
    return event.attributes["ce-subject"] == name and ".recovered." in event.attributes["ce-type"]


def await_events(scene: Scene, wanted: Callable[[PubsubMessage], bool], count: int) -> list[PubsubMessage]:
    """Collect events until `count` are as wanted, for at most 30 s; answers those."""
    end = time.monotonic() + 30
    while sum(map(wanted, scene.events)) < count and time.monotonic() < end:
        scene.events += scene.stack.pubsub.pull(EVENTS_SUBSCRIPTION)
    found = [event for event in scene.events if wanted(event)]
    expect(len(found) == count, f"{len(found)} of {count} events arrived")
    return found


def get(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """GET a JSON object; raises UnexpectedError for another status than 200."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, headers=headers, timeout=30)
        expect(answer.status_code == requests.codes.ok, f"{url} answers {answer.status_code}")
        body: dict[str, Any] = answer.json()
        return body


def eventually(look: Callable[[], Fact | None]) -> Fact | None:
    """Look until there is something, for at most 30 s."""
    end = time.monotonic() + 30
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(0.1)
    return found


def expect(fact: Fact | None, otherwise: str) -> Fact:
    """Stop the story when it is not as told: a fact that is false or missing."""
    if not fact:
        raise UnexpectedError(otherwise)
    return fact
