"""The whole infrastructure on a laptop: the services that the functions use, the functions, a job's machine.

Everything listens on loopback and lives in memory. `Stack` is a context manager; leaving it stops every process it
started, in whatever way it is left.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from infra.local.authorization_server import AuthorizationServer
from infra.local.mail import MailServer
from infra.local.metadata import MetadataServer
from infra.local.processes.functions import MAIN, SIGNATURES, Function
from infra.local.pubsub.service import PubSub
from infra.local.secret_manager import SecretManagerServer

REFRESH_TOPIC = "token-refresh"
EVENTS_TOPIC = "token-refresh-events"
DEAD_LETTERS_TOPIC = "token-refresh-dead-letters"
# Pull subscriptions for tests, the demo and the curious.
EVENTS_SUBSCRIPTION = "token-refresh-events-pull"
DEAD_LETTERS_SUBSCRIPTION = "token-refresh-dead-letters-pull"

PROVIDERS = """\
# Providers of the local stack; `local-rotating` is the same server for clients whose refresh tokens rotate.
[local]
title = "Example"
token_url = "{server.token_url}"
authorization_url = "{server.authorization_url}"
revocation_url = "{server.revocation_url}"
issuer = "{server.issuer}"
openid = true
rotates_refresh_tokens = "never"
subject = {{ from = "id_token" }}

[local-google]
extends = "local"
title = "Example Mail"
authorization_params = {{ access_type = "offline", prompt = "consent", include_granted_scopes = "true" }}

[local-rotating]
extends = "local"
title = "Example CRM"
client_auth = "client_secret_basic"
rotates_refresh_tokens = "always"
"""


class Stack:
    """Start all of it in order; the parts are attributes, `directory` has the logs and the providers file."""

    project = "local-project"

    def __init__(
        self,
        *,
        functions: Sequence[str] = tuple(SIGNATURES),
        environment: Mapping[str, str] | None = None,
        source: Path = MAIN,
        emulator: bool | None = None,
    ) -> None:
        """Prepare it.

        `functions` names the entry points of `source` to run, `environment` adds to theirs, `emulator` chooses the
        Pub/Sub (see `PubSub`).
        """
        self._names = functions
        self._source = source
        self._exits = ExitStack()
        self.environment: dict[str, str] = dict(environment or {})
        self.functions: dict[str, Function] = {}
        self.pubsub = PubSub(self.project, emulator=emulator)
        self.secret_manager = SecretManagerServer(self.project, notify=self._notify)
        # The machine that a job runs on: its service account's tokens are those Secret Manager knows.
        self.metadata = MetadataServer(
            self.project, f"job@{self.project}.iam.gserviceaccount.com", self.secret_manager.callers.issue
        )
        self.mail = MailServer()
        self.authorization_server = AuthorizationServer()
        self.directory = Path()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self.directory = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="token-refresh-")))
            self.pubsub.logs = self.authorization_server.logs = self.directory
            for part in (self.pubsub, self.secret_manager, self.metadata, self.mail, self.authorization_server):
                exits.enter_context(part)
            self._start_functions(exits)
            self._create_topics()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def log(self) -> str:
        """Read what all processes have written."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def _start_functions(self, exits: ExitStack) -> None:
        self.functions = {
            name: Function(name, environment=self.environment, logs=self.directory, source=self._source)
            for name in self._names
        }
        self.environment |= {**self._addresses(), **self.environment}
        for function in self.functions.values():
            function.start()
            exits.callback(function.stop)
        exits.callback(self._terminate_functions)
        for function in self.functions.values():
            function.wait()

    def _terminate_functions(self) -> None:
        # They take half a second each to end: all of them are asked before any is waited for.
        for function in self.functions.values():
            function.terminate()

    def _addresses(self) -> dict[str, str]:
        providers = self.directory / "providers.toml"
        providers.write_text(PROVIDERS.format(server=self.authorization_server), encoding="utf-8")
        addresses = {
            "GOOGLE_CLOUD_PROJECT": self.project,
            "SECRET_MANAGER_EMULATOR_HOST": self.secret_manager.grpc_address,
            "PUBSUB_EMULATOR_HOST": self.pubsub.address,
            "REFRESH_TOPIC": REFRESH_TOPIC,
            "EVENTS_TOPIC": EVENTS_TOPIC,
            "PROVIDERS_FILE": str(providers),
            "NOTIFY_URLS": self.mail.notify_urls,
            # No metadata server to ask for a project or credentials.
            "NO_GCE_CHECK": "true",
        }
        if "consent" in self.functions:
            addresses["CONSENT_URL"] = self.functions["consent"].url
            addresses["CONSENT_SIGNING_KEY"] = secrets.token_urlsafe(32)
        return addresses

    def _create_topics(self) -> None:
        pubsub, letters = self.pubsub, DEAD_LETTERS_TOPIC
        for topic in (REFRESH_TOPIC, EVENTS_TOPIC, DEAD_LETTERS_TOPIC):
            pubsub.create_topic(topic)
        pubsub.create_subscription(EVENTS_SUBSCRIPTION, EVENTS_TOPIC)
        pubsub.create_subscription(DEAD_LETTERS_SUBSCRIPTION, DEAD_LETTERS_TOPIC)
        if refresh := self.functions.get("refresh"):
            # The framework takes the topic of a wrapped message, and so the event's source, from the path.
            endpoint = f"{refresh.url}/{pubsub.topic_name(REFRESH_TOPIC)}"
            pubsub.create_subscription(
                "token-refresh-push", REFRESH_TOPIC, push_to=endpoint, ack_deadline=600, dead_letters=letters
            )
        if notify := self.functions.get("notify"):
            pubsub.create_subscription(
                "token-refresh-notify", EVENTS_TOPIC, push_to=notify.url, bare=True, ordered=True, dead_letters=letters
            )

    def _notify(self, topic: str, attributes: Mapping[str, str], data: bytes) -> None:
        self.pubsub.publish(topic.rpartition("/")[2], data, attributes)
