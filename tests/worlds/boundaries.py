"""One project, seen by somebody who may only annotate: the real code from the trigger to the wire, and what it wrote.

Every secret in it is a canary; `leaks` says which of them reached a host or a secret that the operator did not name.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.instance import FakePublisher, FakeStore, FrozenClock, build_runner
from tests.worlds import consent_store, consents
from token_refresh.adapters.signing import KeySigner
from token_refresh.core.connection import LABEL, LABEL_PROVIDER
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.definition import Provider, SubjectSource
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.trigger import Trigger
from token_refresh.settings import Settings
from token_refresh.token_endpoint.exchange import Exchange

_KEY: Final = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)

# The kinds of URL that there are: fixed, a label in a host, a whole host, a path, an endpoint in a path.
DEFINITIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "google": {"token_url": "https://google.example/token", "rotates_refresh_tokens": "never"},
    "dropbox": {"token_url": "https://dropbox.example/token", "client_auth": "client_secret_basic"},
    "okta": {"token_url": "https://{org}.okta.example.com/token", "variables": {"org": ""}},
    "servicenow": {"token_url": "https://{instance}.service-now.example.com/token", "variables": {"instance": ""}},
    "salesforce": {
        "token_url": "https://{domain}/token",
        "variables": {"domain": "login.salesforce.example"},
        "request_format": "query",
    },
    "salesforce-sandbox": {"extends": "salesforce", "variables": {"domain": "test.salesforce.example"}},
    "microsoft": {"token_url": "https://microsoft.example/{tenant}/token", "variables": {"tenant": "common"}},
    "zoho": {
        "token_url": "https://{server}/token",
        "variables": {"server": "zoho.example", "api": ""},
        "learned": {"server": ["zoho-eu.example"], "api": "*"},
        "headers": {"X-Client": "{client_secret}"},
    },
}


def definitions() -> dict[str, Provider]:
    """Read the definitions above."""
    return parse_providers(DEFINITIONS)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: its host and all its text, credentials decoded."""

    host: str
    text: str


class Wire:
    """Every provider on earth: it answers each token with tokens that carry the canary of the one that was sent."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._numbers = itertools.count(1)

    def send(self, request: HttpRequest) -> HttpReply:
        body = request.body.decode()
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith("Basic "):
            authorization = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        text = "\n".join([request.url, body, authorization, *request.headers.values()])
        self.sent.append(Sent(urlsplit(request.url).hostname or "", text))
        fields = parse_qs(body or urlsplit(request.url).query)
        seed = (fields.get("refresh_token") or fields.get("code") or ["CANARY-machine"])[0]
        number = next(self._numbers)
        answer = {
            "access_token": f"{seed}.access{number}",
            "expires_in": 3600,
            "token_type": "Bearer",
            "account": "alice-1",
        }
        if "grant_type=refresh_token" in text or "code" in fields:
            answer["refresh_token"] = f"{seed}.r{number}"
        return HttpReply(200, {}, json.dumps(answer).encode())


class WatchedStore(FakeStore):
    """Secret Manager that remembers what was written and destroyed, by all instances."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.added: list[tuple[str, str]] = []
        self.destroyed: list[tuple[str, int]] = []

    def add(self, secret_id: str, payload: bytes) -> int:
        self.added.append((secret_id, payload.decode()))
        return super().add(secret_id, payload)

    def destroy(self, secret_id: str, version: int) -> None:
        self.destroyed.append((secret_id, version))
        super().destroy(secret_id, version)


class Project:
    """A project that works: the operator's own annotations are right; one connection for each kind of provider."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.store = WatchedStore(self.clock)
        self.wire = Wire()
        self.publisher = FakePublisher()
        self.providers = definitions()
        self.hosts: dict[str, set[str]] = {}  # by canary: where the operator lets it go
        self.named: set[str] = set()  # hosts that the operator named for anything
        self._register("oauth-client-google", "google", {"google.example"})
        self._register("oauth-client-dropbox", "dropbox", {"dropbox.example"})
        self._register("oauth-client-okta", "okta", {"acme.okta.example.com"}, variables={"org": "acme"})
        self._register(
            "oauth-client-servicenow",
            "servicenow",
            {"one.service-now.example.com", "two.service-now.example.com"},
            variables={"instance": "one"},
            allowed_variables={"instance": ["two"]},
        )
        self._register("oauth-client-salesforce", "salesforce", {"login.salesforce.example"})
        # "Any" is never meant of a whole host.
        free = {"domain": "*", "org": "*"}
        self._register(
            "oauth-client-salesforce-sandbox",
            "salesforce-sandbox",
            {"test.salesforce.example"},
            allowed_variables=free,
        )
        self._register("oauth-client-microsoft", "microsoft", {"microsoft.example"})
        self._register("oauth-client-zoho", "zoho", {"zoho.example", "zoho-eu.example"})
        self._register("team-client", "shared", {"google.example", "dropbox.example"}, provider=["google", "dropbox"])
        for provider in DEFINITIONS:
            self.declare(f"alice-{provider}", f"CANARY-alice-{provider}", provider)
        own = {"refresh_token": "CANARY-own", "client_id": "own", "client_secret": "CANARY-own-secret"}
        self.declare("own", json.dumps({**own, "provider": "dropbox"}), "dropbox")
        self.hosts["CANARY-own-secret"] = {"dropbox.example"}
        key = {"type": "service_account", "client_email": "robot@p.example", "private_key": _KEY}
        self.declare("robot", json.dumps({**key, "subjects": ["ada@example.com"]}), "google", owner="ada@example.com")
        self.secrets = sorted(self.store.cloud.secrets)

    def _register(self, secret_id: str, canary: str, hosts: set[str], **says: object) -> None:
        secret = f"CANARY-secret-of-{canary}."
        self.store.create(secret_id, json.dumps({"client_id": canary, "client_secret": secret, **says}))
        self.hosts[secret] = hosts
        self.named |= hosts

    def declare(self, name: str, payload: str, provider: str, **notes: str) -> None:
        annotations = {f"token-refresh.{key}": value for key, value in {"scopes": "a", **notes}.items()}
        labels = {LABEL: "enabled", LABEL_PROVIDER: provider}
        self.store.create(f"{name}-refresh-token", payload, labels=labels, annotations=annotations)
        self.store.create(f"{name}-access-token")

    def annotate(self, name: str, **notes: str | None) -> None:
        """Do what somebody may do who has ``secretmanager.secrets.update`` on one connection secret."""
        changes = {f"token-refresh.{key.replace('_', '-')}": value for key, value in notes.items()}
        self.store.set_annotations(f"{name}-refresh-token", changes)

    def label(self, secret_id: str, **labels: str) -> None:
        record = self.store.cloud.secrets[secret_id].record
        more = {key.replace("_", "-"): value for key, value in labels.items()}
        self.store.cloud.write(type(record)(secret_id, {**record.labels, **more}, record.annotations, record.etag))

    def run(self, *names: str, force: bool = True, dry_run: bool = False) -> dict[str, dict[str, Any]]:
        """Run on a cold instance, and return the report by connection."""
        settings = Settings(project="some-project", refresh_workers=1, secret_writes_per_minute=1e9)
        exchange = Exchange(self.wire, KeySigner(), self.clock)
        runner = build_runner(
            self.store, exchange, self.publisher, self.clock, providers=self.providers.values(), settings=settings
        )
        report = runner.run(Trigger(names or None, force=force, dry_run=dry_run))
        self.clock.advance(60)
        document: Any = report.document()
        return {entry["name"]: entry for entry in document["connections"]}

    def reserved(self) -> set[str]:
        """Return the secrets that are connection secrets, or that some connection names as its registration."""
        records = [stored.record for stored in self.store.cloud.secrets.values() if LABEL in stored.record.labels]
        clients = {record.annotations.get("token-refresh.client", "") for record in records}
        return {record.secret_id for record in records} | clients

    # -- what must never be --------------------------------------------------------------------------------------------

    def leaks(self) -> list[str]:
        """Name every canary that reached a host or a secret that the operator did not name for it."""
        found = []
        for request in self.wire.sent:
            if "CANARY" in request.text and request.host not in self.named:
                found.append(f"a secret went to {request.host}")
            for secret, hosts in self.hosts.items():
                if secret in request.text and request.host not in hosts:
                    found.append(f"{secret} went to {request.host}")
        for secret_id, payload in self.store.added:
            if not self._belongs(secret_id, payload):
                found.append(f"{payload[:80]} was written to {secret_id}")
        for secret_id, version in self.store.destroyed:
            newest = self.store.cloud.secrets[secret_id].versions[-1]
            is_old = version < len(self.store.cloud.secrets[secret_id].versions)
            if not is_old or newest.state != "ENABLED" or not self._belongs(secret_id, newest.payload.decode()):
                found.append(f"version {version} of {secret_id} was destroyed")
        return found

    def _belongs(self, secret_id: str, payload: str) -> bool:
        """A token lands only at the connection whose grant it came from; no client secret lands anywhere else."""
        name = secret_id.removesuffix("-access-token").removesuffix("-refresh-token")
        if "CANARY-machine" in payload:
            # A client or a key that stands for itself: no owner's grant was involved.
            return secret_id.endswith("-access-token") and payload.count("CANARY") == 1
        seed = f"CANARY-{name}"
        return all(part.startswith(seed.removeprefix("CANARY")) for part in payload.split("CANARY")[1:])


def consent_world(**definition: Any) -> tuple[consents.ConsentWorld, Wire]:
    """A consent world whose codes are redeemed by the real exchange, at a provider whose host is a variable."""
    keys: dict[str, Any] = {
        "token_url": "https://{instance}.service.example.com/{endpoint}",
        "refresh_url": "https://{instance}.service.example.com/{endpoint}",
        "authorization_url": "https://login.service.example.com/authorize",
        "variables": {"instance": "", "endpoint": "token"},
        "openid": False,
        "subject": SubjectSource("token_response", "account"),
        "issuer": None,
    }
    world = consents.ConsentWorld(**{**keys, **definition})
    client = {"client_id": "id-1", "client_secret": consents.CLIENT_SECRET, "variables": {"instance": "ours"}}
    world.store.put("oauth-client-acme", json.dumps(client))
    wire = Wire()
    world.endpoint = Exchange(wire, KeySigner(), world.clock)  # type: ignore[assignment]
    world.reconsent = world.instance()
    world.store.note("subject", "alice-1")
    world.store.create(f"{consent_store.NAME}-access-token")
    return world, wire


def refresh(world: consents.ConsentWorld, wire: Wire) -> str:
    exchange = Exchange(wire, KeySigner(), world.clock)
    runner = build_runner(
        world.store.restarted(), exchange, FakePublisher(), world.clock, providers=world.providers.values()
    )
    report: Any = runner.run(Trigger((consent_store.NAME,), force=True)).document()
    return str(report["connections"][0]["outcome"])
