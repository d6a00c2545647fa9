"""A small world for the consent tests: a store, topics and a token endpoint in memory, the pages under Flask."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask, Response, request
from flask.testing import FlaskClient

from tests.fakes.instance import FrozenClock
from tests.worlds.consent_store import NAME, SECRET, Secrets, Topics
from token_refresh.adapters.tickets import Tickets
from token_refresh.connections.incidents import Incidents
from token_refresh.connections.lease import Leases
from token_refresh.consent.answers import Asker
from token_refresh.consent.limits import Limits
from token_refresh.consent.new_link import NewLink
from token_refresh.consent.progress import Progress
from token_refresh.consent.reconsent import Reconsent
from token_refresh.consent.redemption import Redemption
from token_refresh.consent.request import Cases
from token_refresh.consent.save import NewGrantSaver
from token_refresh.core.provider.definition import Provider, SubjectSource
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import CONSENT_HOLDER, State, Status, render_status
from token_refresh.core.token_endpoint.outcome import Refreshed, TokenOutcome
from token_refresh.core.token_request import TokenRequest
from token_refresh.core.units import DAY
from token_refresh.instance.pace import Paces
from token_refresh.overview import Overview
from token_refresh.settings import Settings
from token_refresh.web.consent import handle_consent
from token_refresh.web.status import StatusPage
from token_refresh.web.status_view import StatusView

KEY = Secret("a-signing-key-for-tests-of-32-characters")
NOW = 1_795_000_000.0
ISSUER = "https://provider.example"
BASE = "http://localhost"
WORLD = "tests.world"  # in the environ of a request
OWNER = "alice@example.com"
# Whatever must never be seen: it runs through every test of the workflow.
CODE = "canary-code-4711"
OLD_TOKEN = "canary-old-refresh-token"
NEW_TOKEN = "canary-new-refresh-token"
ACCESS_TOKEN = "canary-access-token"
CLIENT_SECRET = "canary-client-secret"
CANARIES = (CODE, OLD_TOKEN, NEW_TOKEN, ACCESS_TOKEN, CLIENT_SECRET, KEY.reveal())


def id_token(**claims: object) -> Secret:
    """Make an ID token as a provider would; the signature is not looked at."""

    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()

    return Secret(f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl")


class FakeEndpoint:
    """A provider's token endpoint that issues codes to itself: `ask` is the last authorization request."""

    def __init__(self) -> None:
        self.ask: dict[str, str] = {}
        self.redeemed: list[dict[str, Any]] = []
        self.claims: dict[str, object] = {}
        self.reply: dict[str, Any] = {}
        self.outcome: TokenOutcome | None = None
        self.userinfo: Mapping[str, object] | Exception | None = None
        self.on_redeem: Callable[[], None] | None = None

    def redeem(self, request: TokenRequest, **asked: Any) -> TokenOutcome:
        client = request.client
        assert client is not None
        self.redeemed.append({"provider": request.provider.name, "client": client, **asked})
        if self.on_redeem:
            self.on_redeem()
        if self.outcome is not None:
            return self.outcome
        claims = {
            "iss": ISSUER,
            "aud": client.client_id,
            "exp": NOW + 30 * DAY,
            "nonce": self.ask.get("nonce"),
            "sub": "alice-1",
            "email": OWNER,
            "email_verified": True,
            **self.claims,
        }
        reply: dict[str, Any] = {
            "scope": "openid email mail.read",
            "refresh_token": Secret(NEW_TOKEN),
            "id_token": id_token(**claims),
            **self.reply,
        }
        return Refreshed(Secret(ACCESS_TOKEN), int(NOW) + 3600, **reply)

    def fetch_json(self, provider: Provider, url: str, access_token: Secret) -> Mapping[str, object] | None:
        assert provider.name
        assert access_token.reveal() == ACCESS_TOKEN
        assert url.startswith("https://")
        if isinstance(self.userinfo, Exception):
            raise self.userinfo
        return self.userinfo


def provider(name: str = "acme", **changes: Any) -> Provider:
    """Define a provider that speaks OpenID Connect and never rotates."""
    plain = Provider(
        name=name,
        token_url=f"{ISSUER}/token",
        refresh_url=f"{ISSUER}/token",
        authorization_url=f"{ISSUER}/authorize",
        issuer=ISSUER,
        authorization_params={"access_type": "offline", "prompt": "consent"},
        openid=True,
        rotates_refresh_tokens="never",
        subject=SubjectSource("id_token"),
    )
    return replace(plain, **changes)


DEAD = Status(
    state=State.NEEDS_CONSENT,
    reason="revoked_or_expired",
    since=NOW - 9000,
    version=1,
    event_id="invalid_grant-0815",
    attempts=2,
)


@functools.cache
def _app() -> Flask:
    """Build the app of all worlds, for routes take longer to build than a world; a browser says in which one it is."""
    app = Flask("consent")
    app.add_url_rule(
        "/status", view_func=lambda: request.environ[WORLD].status.answer(request),
        endpoint="status", methods=["GET", "POST", "PUT"],
    )  # fmt: skip
    for rule in ("/", "/<path:path>"):
        app.add_url_rule(
            rule, view_func=lambda path="": request.environ[WORLD].answer(),  # noqa: ARG005
            endpoint=rule, methods=["GET", "POST", "PUT", "DELETE"], provide_automatic_options=False,
        )  # fmt: skip
    return app


class ConsentWorld:
    """One connection with a dead grant, its owner's browser, and everything in between."""

    def __init__(self, **definition: Any) -> None:
        self.clock = FrozenClock(NOW)
        self.store = Secrets(self.clock)
        self.publisher = Topics(self.store.journal)
        self.endpoint = FakeEndpoint()
        self.providers = {"acme": provider(**definition)}
        self.settings = Settings(project="some-project", consent_url=BASE, consent_signing_key=KEY)
        self.store.create("oauth-client-acme", json.dumps({"client_id": "id-1", "client_secret": CLIENT_SECRET}))
        payload = json.dumps({"refresh_token": OLD_TOKEN, "note": "kept"})
        self.store.declare(SECRET, payload, scopes="openid mail.read", owner=OWNER, status=render_status(DEAD))
        self.tickets = Tickets(KEY, BASE, self.settings.consent_ticket_ttl, self.clock)
        self.asker = Asker("Example Inc.", "help@example.com")
        self.paces = Paces(1000, self.clock, self.clock.sleep)
        self.reconsent = self.instance()
        self.status = self.status_page(self.tickets)
        self.browser = self.new_browser()
        self.seen: list[str] = []

    def answer(self) -> Response:
        """Answer the request at hand."""
        return handle_consent(request, self.reconsent)

    def instance(self) -> Reconsent:
        """Build the workflow as another instance would have it."""
        cases = Cases(self.store, self.providers)
        progress = Progress(self.store, cases, self.clock)
        leases = Leases(self.store, self.settings, self.clock, CONSENT_HOLDER)
        incidents = Incidents(self.store, self.publisher, self.tickets, self.clock)
        saver = NewGrantSaver(self.store, leases, incidents, self.publisher, self.clock, self.clock.sleep)
        return Reconsent(
            cases,
            Redemption(self.endpoint, self.clock),
            self.tickets,
            saver,
            NewLink(incidents, self.clock),
            progress,
            self.asker,
            Limits(self.clock),
            self.paces,
            self.clock,
        )

    def use_key(self, key: str) -> None:
        """Start anew with another signing key, or several."""
        self.tickets = Tickets(Secret(key), BASE, self.settings.consent_ticket_ttl, self.clock)
        self.reconsent = self.instance()

    def status_page(self, actions: Tickets | None) -> StatusPage:
        """Build the status page as another instance would have it; `actions` None: without a key."""
        overview = Overview(self.store, self.publisher, self.providers, self.tickets, self.settings, self.clock)
        view = StatusView(overview, actions, f"{BASE}/callback", "", self.clock)
        return StatusPage(view)

    def new_browser(self) -> FlaskClient:
        browser = _app().test_client()
        browser.environ_base[WORLD] = self  # type: ignore[assignment]  # an environ takes any object
        return browser

    def link(self, consents: int = 0, connection: str = NAME) -> str:
        url = self.tickets.url(connection, consents)
        assert url is not None
        return url.removeprefix(BASE)

    def open(self, link: str | None = None) -> Response:
        return self._keep(self.browser.get(link or self.link()))

    def start(self, link: str | None = None, browser: FlaskClient | None = None) -> dict[str, str]:
        """Press the button; return the authorization request's parameters."""
        response = (browser or self.browser).post(link or self.link())
        return self.take(response)

    def take(self, response: Any) -> dict[str, str]:
        """Follow the redirect to the provider; return the authorization request's parameters."""
        assert response.status_code == 303, response.get_data(as_text=True)
        self.endpoint.ask = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
        return self.endpoint.ask

    def cookie(self, browser: FlaskClient | None = None) -> tuple[str, str]:
        """Return name and value of the browser's only cookie."""
        (cookie,) = ((browser or self.browser)._cookies or {}).values()
        return cookie.key, cookie.value

    def finish(self, browser: FlaskClient | None = None, **query: str) -> Response:
        """Come back from the provider; by default with what it would send."""
        asked = {"code": CODE, "state": self.endpoint.ask.get("state", ""), "iss": ISSUER, **query}
        browser = browser or self.browser
        response = self._keep(browser.get("/callback", query_string={k: v for k, v in asked.items() if v}))
        if response.status_code == 303:
            assert response.headers["Location"] == f"{BASE}/done/{NAME}"
            response = self._keep(browser.get(f"/done/{NAME}"))
        return response

    def consent(self, **query: str) -> Response:
        self.start()
        return self.finish(None, **query)

    def is_untouched(self) -> bool:
        """Tell whether grant, incident and lease are as they were, and nobody was told anything."""
        return (
            self.store.newest() == 1
            and self.store.annotation("status") == render_status(DEAD)
            and self.store.annotation("lease") is None
            and not self.publisher.events
            and not self.publisher.refresh_requests
        )

    def _keep(self, response: Any) -> Response:
        self.seen.append(response.get_data(as_text=True) + str(response.headers))
        return response  # type: ignore[no-any-return]


def is_saved(response: Any) -> bool:
    """Tell whether this is the page after a consent that was stored."""
    return response.status_code == 200 and title(response) in ("Saved. The first token is being fetched.", "Connected")


def title(response: Any) -> str:
    found = re.search(r"<h1>(.*?)</h1>", response.get_data(as_text=True), re.DOTALL)
    return re.sub(r"<[^>]*>", "", found[1]).strip() if found else ""
