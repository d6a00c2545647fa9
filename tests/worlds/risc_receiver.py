"""`risc` under Flask, with an issuer that signs real tokens with real keys."""

from __future__ import annotations

import time
from typing import Any

import jwt
from flask import Flask, Response, request

from tests.fakes.instance import FakePublisher, FrozenClock
from tests.worlds.issuer import KEYS, Issuer
from token_refresh.adapters.security_events import JwksVerifier
from token_refresh.instance.recent import Limit
from token_refresh.risc import KEY_LOOKUPS, SecurityEventReceiver
from token_refresh.settings import Settings
from token_refresh.web.risc import handle_risc

ISSUER = "https://accounts.google.com"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"


class RiscWorld:
    """The receiver under Flask, an issuer, the refresh topic and the time."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.clock = FrozenClock(time.time())
        self.publisher = FakePublisher()
        settings = Settings(project="p", risc_audiences=("client-1", "client-2"), risc_issuer=ISSUER)
        lookups = Limit(*KEY_LOOKUPS, self.clock)
        verifier = JwksVerifier(issuer.url, 5, lambda: not lookups.take())
        receiver = SecurityEventReceiver(verifier, self.publisher, settings, self.clock)
        app = Flask("risc")
        app.add_url_rule("/", view_func=lambda: handle_risc(request, receiver), methods=["GET", "POST"])
        self.client = app.test_client()
        self.numbers = iter(range(1000))

    def token(self, events: object = None, key: Any = KEYS[0], headers: Any = None, **changes: Any) -> str:
        about = {f"{OAUTH}tokens-revoked": {"subject": {"subject_type": "iss-sub", "iss": ISSUER, "sub": "alice-1"}}}
        claims = {
            "iss": f"{ISSUER}/",
            "aud": ["client-1"],
            "iat": int(self.clock()),
            "jti": f"jti-{next(self.numbers)}",
            "events": about if events is None else events,
            **changes,
        }
        headers = {"kid": "k0", "typ": "secevent+jwt", **(headers or {})}
        return jwt.encode({n: v for n, v in claims.items() if v is not ...}, key, "RS256", headers=headers)

    def post(self, body: str | bytes) -> Response:
        answer: Any = self.client.post("/", data=body, content_type="application/secevent+jwt")
        return answer  # type: ignore[no-any-return]

    def refused(self, body: str | bytes) -> str:
        """Post what must be refused, and return RFC 8935's error code."""
        answer = self.post(body)
        assert answer.status_code == 400
        assert answer.content_type == "application/json"
        assert answer.headers["Content-Language"] == "en"
        assert self.publisher.refresh_requests == []
        document: Any = answer.get_json()
        assert set(document) == {"err", "description"}
        return str(document["err"])
