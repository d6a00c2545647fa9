"""The one place where real parts meet: built on first use, kept for the instance's life.

An entry point needs a few of them, and a cold start waits for every import: each is imported where it is built.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from token_refresh.adapters.logs import begin_logging, configure_logging
from token_refresh.core.provider.definition import Provider
from token_refresh.errors import BadEnvironment
from token_refresh.instance.part import part
from token_refresh.providers import load_providers
from token_refresh.settings import Settings, read_settings

if TYPE_CHECKING:
    from token_refresh.adapters.caller_secrets import CallerSecrets
    from token_refresh.adapters.pubsub import PubSub
    from token_refresh.adapters.secret_manager import SecretManager
    from token_refresh.adapters.tickets import Tickets
    from token_refresh.consent.reconsent import Reconsent
    from token_refresh.instance.recent import Refusals
    from token_refresh.notify import Notifier
    from token_refresh.overview import Overview
    from token_refresh.risc import SecurityEventReceiver
    from token_refresh.run.runner import Runner
    from token_refresh.token_endpoint.exchange import Exchange
    from token_refresh.web.status import StatusPage


@dataclass
class Parts:
    """The parts of one instance. Each is built when it is first asked for."""

    settings: Settings
    providers: dict[str, Provider]

    @part
    def store(self) -> SecretManager:
        """Return Secret Manager, the last part that is imported: the log comes while its first answer is waited for."""
        from token_refresh.adapters.secret_manager import SecretManager
        from token_refresh.adapters.secret_manager_client import build_client, parent_of

        begin_logging()
        return SecretManager(build_client(self.settings), parent_of(self.settings))

    @part
    def publisher(self) -> PubSub:
        """Return the topics."""
        from token_refresh.adapters.pubsub import PubSub

        return PubSub(self.settings.project, self.settings.events_topic, self.settings.refresh_topic)

    @part
    def endpoint(self) -> Exchange:
        """Return the exchange at token endpoints."""
        from token_refresh.adapters.http import PooledTransport
        from token_refresh.adapters.signing import KeySigner
        from token_refresh.token_endpoint.exchange import Exchange

        return Exchange(PooledTransport(self.settings.http_timeout), KeySigner(), time.time)

    @part
    def tickets(self) -> Tickets:
        """Return the maker of links, sessions and action tokens."""
        from token_refresh.adapters.tickets import Tickets

        s = self.settings
        return Tickets(s.consent_signing_key, s.consent_url, s.consent_ticket_ttl, time.time)

    @part
    def runner(self) -> Runner:
        """Return the use case of a refresh run; what it could not store is tried once more when the process ends."""
        from token_refresh.instance.termination import on_termination
        from token_refresh.run.build import Outside, build_runner
        from token_refresh.token_endpoint.revocation import Revoker

        outside = Outside(
            endpoint=self.endpoint,
            publisher=self.publisher,
            links=self.tickets,
            revoker=Revoker(self.endpoint.transport, self.endpoint.signer, time.time),
            store=self.store,
            clock=time.time,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        runner = build_runner(outside, self.providers, self.settings)
        on_termination(runner.saver.end, runner.unsaved.all)
        return runner

    @part
    def reconsent(self) -> Reconsent:
        """Return the re-consent workflow."""
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
        from token_refresh.core.status import CONSENT_HOLDER
        from token_refresh.instance.pace import Paces

        s = self.settings
        cases = Cases(self.store, self.providers)
        progress = Progress(self.store, cases, time.time)
        leases = Leases(self.store, s, time.time, CONSENT_HOLDER)
        incidents = Incidents(self.store, self.publisher, self.tickets, time.time)
        saver = NewGrantSaver(self.store, leases, incidents, self.publisher, time.time, time.sleep)
        return Reconsent(
            cases,
            Redemption(self.endpoint, time.time),
            self.tickets,
            saver,
            NewLink(incidents, time.time),
            progress,
            Asker(s.consent_name, s.consent_contact),
            Limits(time.time),
            Paces(s.token_requests_per_second),
            time.time,
        )

    @part
    def caller_secrets(self) -> CallerSecrets:
        """Return Secret Manager as the callers of `token` see it."""
        from token_refresh.adapters.caller_secrets import CallerSecrets
        from token_refresh.adapters.secret_manager_client import open_channel, parent_of

        return CallerSecrets(open_channel(self.settings), parent_of(self.settings))

    @part
    def refusals(self) -> Refusals:
        """Return the limit of `token`: sixty refusals a minute, then only callers that it has served."""
        from token_refresh.instance.recent import Refusals

        return Refusals(60, 60.0, time.monotonic)

    @part
    def security_events(self) -> SecurityEventReceiver:
        """Return the receiver of security event tokens; raises `BadEnvironment` when it would refuse all of them."""
        from token_refresh.adapters.security_events import JwksVerifier
        from token_refresh.instance.recent import Limit
        from token_refresh.risc import KEY_LOOKUPS, SecurityEventReceiver

        s = self.settings
        if not s.risc_audiences:
            raise BadEnvironment("RISC_AUDIENCES is unset: name the client ids that the tokens are meant for")
        lookups = Limit(*KEY_LOOKUPS, time.monotonic)
        verifier = JwksVerifier(s.risc_jwks_url, s.http_timeout, lambda: not lookups.take())
        return SecurityEventReceiver(verifier, self.publisher, s, time.time)

    @part
    def overview(self) -> Overview:
        """Return the look at all connections."""
        from token_refresh.overview import Overview

        return Overview(self.store, self.publisher, self.providers, self.tickets, self.settings, time.time)

    @part
    def status_page(self) -> StatusPage:
        """Return the status page."""
        from token_refresh.web.status import StatusPage
        from token_refresh.web.status_view import StatusView

        # Without a key each instance makes one of its own: a page of one would be refused by the next.
        actions = self.tickets if self.settings.consent_signing_key else None
        redirect_uri = self.tickets.redirect_uri if self.settings.consent_url else ""
        view = StatusView(self.overview, actions, redirect_uri, self.settings.runbook_url, time.time)
        return StatusPage(view)

    @part
    def notifier(self) -> Notifier:
        """Return the messages to owners and operators."""
        from token_refresh.adapters.messages import AppriseMessenger
        from token_refresh.core.incident.message import House
        from token_refresh.instance.pace import Pace
        from token_refresh.notify import Notifier, read_urls
        from token_refresh.words import load_words

        s = self.settings
        house = House(
            load_words(),
            name=s.consent_name,
            contact=s.consent_contact,
            project=s.project,
            consent_url=s.consent_url,
            ticket_ttl=s.consent_ticket_ttl,
            runbook_url=s.runbook_url,
        )
        titles = {key: provider.shown_name for key, provider in self.providers.items()}
        pace = Pace(s.token_requests_per_second)
        messenger = AppriseMessenger(s.consent_name)
        return Notifier(self.store, messenger, read_urls(s.notify_urls), pace, time.time, house, titles)


_lock = threading.RLock()
_parts: Parts | None = None


def parts(environ: Mapping[str, str] = os.environ) -> Parts:
    """Return the instance's parts; raises `BadEnvironment` as long as the environment is wrong."""
    global _parts  # noqa: PLW0603 - the instance's life is the process's
    with _lock:
        if _parts is None:
            _parts = _build(environ)
        return _parts


def _build(environ: Mapping[str, str]) -> Parts:
    configure_logging()
    problems: list[str] = []
    settings, providers, project = Settings(), dict[str, Provider](), environ.get("GOOGLE_CLOUD_PROJECT", "").strip()
    try:
        settings = read_settings(environ)
    except BadEnvironment as fault:
        problems.append(str(fault))
    try:
        providers = load_providers(environ.get("PROVIDERS_FILE") or None)
    except BadEnvironment as fault:
        problems.append(str(fault))
    project = project or project_of_credentials()
    if not project:
        problems.append("GOOGLE_CLOUD_PROJECT is not set and the credentials name no project")
    if problems:
        raise BadEnvironment("; ".join(problems))
    configure_logging(project)
    return Parts(replace(settings, project=project), providers)


def project_of_credentials() -> str:
    """Return the project that the credentials name; empty where there is none, or there are no credentials."""
    import google.auth  # may ask the metadata server
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default()[1] or ""
    except DefaultCredentialsError:
        return ""
