"""The environment: defaults, any positive number, and one message that lists every problem."""

from __future__ import annotations

from dataclasses import fields

import pytest

from token_refresh import wiring
from token_refresh.core.secrecy import Secret
from token_refresh.errors import BadEnvironment
from token_refresh.settings import Settings, read_settings

CONSENT = {"CONSENT_URL": "https://consent.example.com", "CONSENT_SIGNING_KEY": "CANARY-key-of-32-characters-or-more"}


def test_the_defaults_are_those_of_the_contract() -> None:
    s = read_settings({})
    assert (s.events_topic, s.refresh_topic) == ("token-refresh-events", "token-refresh")
    assert (s.refresh_before_expiry, s.confirm_after, s.breaker_min, s.breaker_hold) == (900, 900, 5, 3600)
    assert (s.lease_seconds, s.http_timeout, s.refresh_workers) == (120, 10, 32)
    assert (s.secret_writes_per_minute, s.token_requests_per_second) == (480, 5)
    assert s.secret_reads_per_minute == 480
    assert (s.run_every, s.run_seconds, s.consent_ticket_ttl) == (300, 285, 604_800)
    assert s.consent_warnings == (604_800, 86_400)
    assert (s.consent_name, s.consent_contact, s.risc_audiences) == ("", "", ())
    assert (s.risc_issuer, s.risc_jwks_url) == (
        "https://accounts.google.com",
        "https://www.googleapis.com/oauth2/v3/certs",
    )
    assert not any((s.project, s.location, s.providers_file, s.consent_url, s.consent_signing_key, s.notify_urls))


@pytest.mark.parametrize(
    ("timeout", "lease", "taken_for"), [("1", "4", 5), ("0.5", "2", 4), ("10", "40", 40), ("10", "", 120)]
)
def test_every_lease_that_is_allowed_has_room_for_an_exchange(timeout: str, lease: str, taken_for: float) -> None:
    assert read_settings({"HTTP_TIMEOUT": timeout, "LEASE_SECONDS": lease}).lease_seconds == taken_for


def test_every_variable_is_read() -> None:
    values = {f.metadata["env"]: "17" for f in fields(Settings) if isinstance(f.default, float)}
    values["LEASE_SECONDS"] = "68"
    read = {f.name: getattr(read_settings(values), f.name) for f in fields(Settings) if isinstance(f.default, float)}
    assert read.pop("lease_seconds") == 68
    assert set(read.values()) == {17.0}
    others = {
        "GOOGLE_CLOUD_PROJECT": " p ",
        "SECRET_MANAGER_LOCATION": "europe-west1",
        "EVENTS_TOPIC": "projects/other/topics/events",
        "REFRESH_TOPIC": "refresh",
        "PROVIDERS_FILE": "providers.toml",
        "CONSENT_URL": "https://consent.example.com/base/",
        "CONSENT_SIGNING_KEY": "CANARY-key-of-32-characters-or-more",
        "CONSENT_NAME": "Acme",
        "CONSENT_CONTACT": "it@acme.example",
        "CONSENT_WARNINGS": "12h, 3d",
        "NOTIFY_URLS": "json://CANARY",
        "RISC_AUDIENCES": "a.apps.example,\nb.apps.example",
        "RISC_ISSUER": "https://issuer.example",
        "RISC_JWKS_URL": "https://issuer.example/keys",
        "SECRET_MANAGER_EMULATOR_HOST": "127.0.0.1:8080",
        "PUBSUB_EMULATOR_HOST": "[::1]:8085",
    }
    assert read_settings(others) == Settings(
        project="p",
        location="europe-west1",
        events_topic="projects/other/topics/events",
        refresh_topic="refresh",
        providers_file="providers.toml",
        consent_url="https://consent.example.com/base",
        consent_signing_key=Secret("CANARY-key-of-32-characters-or-more"),
        consent_name="Acme",
        consent_contact="it@acme.example",
        consent_warnings=(259_200.0, 43_200.0),
        notify_urls=Secret("json://CANARY"),
        risc_audiences=("a.apps.example", "b.apps.example"),
        risc_issuer="https://issuer.example",
        risc_jwks_url="https://issuer.example/keys",
        secret_manager_emulator_host="127.0.0.1:8080",
        pubsub_emulator_host="[::1]:8085",
    )


@pytest.mark.parametrize("text", ["0.5", "1e3", "7", " 12 "])
def test_numbers_are_any_positive_number(text: str) -> None:
    for name in ("RUN_EVERY", "CONFIRM_AFTER", "REFRESH_WORKERS", "BREAKER_MIN"):
        assert read_settings({name: text})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        pytest.param({"BREAKER_MIN": "0"}, "BREAKER_MIN must be a positive number", id="zero"),
        pytest.param({"CONFIRM_AFTER": "-1"}, "CONFIRM_AFTER must be a positive number", id="negative"),
        pytest.param({"HTTP_TIMEOUT": "ten"}, "HTTP_TIMEOUT must be a positive number, not 'ten'", id="word"),
        pytest.param({"HTTP_TIMEOUT": "inf"}, "HTTP_TIMEOUT must be a positive number", id="endless"),
        pytest.param({"HTTP_TIMEOUT": "nan"}, "HTTP_TIMEOUT must be a positive number", id="no-number"),
        pytest.param({"CONSENT_URL": "https://c.example"}, "CONSENT_SIGNING_KEY is not", id="url-without-key"),
        pytest.param({"CONSENT_SIGNING_KEY": "a" * 31}, "fewer than 32 characters", id="short-key"),
        pytest.param({"CONSENT_SIGNING_KEY": f"{'a' * 32}\nb"}, "fewer than 32 characters", id="short-second-key"),
        pytest.param({**CONSENT, "CONSENT_URL": "http://c.example"}, "must be https", id="plain-http"),
        pytest.param({**CONSENT, "CONSENT_URL": "consent"}, "plain base URL", id="no-url"),
        pytest.param({**CONSENT, "CONSENT_URL": "https://[x"}, "is not a URL", id="broken-url"),
        pytest.param({**CONSENT, "CONSENT_URL": "https://c.example/?a=b"}, "plain base URL", id="url-with-a-query"),
        pytest.param({"CONSENT_WARNINGS": "soon"}, "CONSENT_WARNINGS must be durations", id="no-duration"),
        pytest.param({"CONSENT_WARNINGS": "1d,"}, "CONSENT_WARNINGS must be durations", id="a-comma-too-many"),
        pytest.param({"CONSENT_WARNINGS": "0d"}, "CONSENT_WARNINGS must be durations", id="no-time-at-all"),
        pytest.param({"LEASE_SECONDS": "39"}, "LEASE_SECONDS must be between 4 x HTTP_TIMEOUT (40)", id="short-lease"),
        pytest.param({"LEASE_SECONDS": "1801"}, "LEASE_SECONDS must be between", id="long-lease"),
        pytest.param({"HTTP_TIMEOUT": "60"}, "LEASE_SECONDS must be between", id="no-exchange-fits-the-lease"),
        pytest.param({"EVENTS_TOPIC": "a/b"}, "EVENTS_TOPIC is neither", id="topic"),
        pytest.param({"REFRESH_TOPIC": "1"}, "REFRESH_TOPIC is neither", id="short-topic"),
        pytest.param({"PUBSUB_EMULATOR_HOST": "http://x"}, "PUBSUB_EMULATOR_HOST must be host:port", id="emulator"),
        pytest.param({"SECRET_MANAGER_LOCATION": "Europe West"}, "SECRET_MANAGER_LOCATION is not", id="location"),
        pytest.param({"NOTIFY_URLS": "# ops\njson://x\nCANARY"}, "NOTIFY_URLS: no URL in line 3", id="no-notify-url"),
    ],
)
def test_a_bad_value_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(BadEnvironment) as caught:
        read_settings(environ)
    assert words in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_one_message_lists_every_problem_and_quotes_no_secret() -> None:
    environ = {
        "HTTP_TIMEOUT": "x",
        "BREAKER_MIN": "y",
        "EVENTS_TOPIC": "!",
        **CONSENT,
        "CONSENT_URL": "ftp://c.example",
    }
    with pytest.raises(BadEnvironment) as caught:
        read_settings(environ)
    assert str(caught.value).count(";") == 3
    assert "CANARY" not in str(caught.value)


def test_a_missing_project_and_a_bad_providers_file_stand_in_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "_parts", None)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(BadEnvironment) as caught:
        wiring.parts({"HTTP_TIMEOUT": "x", "PROVIDERS_FILE": "/nowhere.toml"})
    for words in ("HTTP_TIMEOUT", "nowhere.toml cannot be read", "GOOGLE_CLOUD_PROJECT is not set"):
        assert words in str(caught.value)


def test_consent_may_be_tried_on_loopback() -> None:
    assert read_settings({**CONSENT, "CONSENT_URL": "http://127.0.0.1:8080"}).consent_url == "http://127.0.0.1:8080"


def test_no_repr_shows_a_secret() -> None:
    assert "CANARY" not in repr(read_settings({**CONSENT, "NOTIFY_URLS": "json://CANARY"}))
