"""A wrong environment stops the function at first use, with one message that lists every problem."""

from __future__ import annotations

import json
from pathlib import Path

from tests.worlds.stack import StackWorld

WRONG = {
    "REFRESH_WORKERS": "-1",
    "HTTP_TIMEOUT": "soon",
    "EVENTS_TOPIC": "two words",
    "CONSENT_URL": "http://consent.example.com",
    "SECRET_MANAGER_EMULATOR_HOST": "nowhere",
    "PROVIDERS_FILE": "/nonexistent/providers.toml",
}


def test_refresh_http_answers_500_with_every_problem(world: StackWorld, tmp_path: Path) -> None:
    with world.other("refresh_http", tmp_path, WRONG) as function:
        for _ in range(2):
            answer = world.post(to=function.url)
            assert answer.status_code == 500
            for name in WRONG:
                assert name in answer.json()["message"]
        lines = [line for line in function.log().splitlines() if "HTTP_TIMEOUT" in line]
        assert lines
        assert all(line.startswith("{") for line in lines), "the message is a structured log line"
        assert world.send("GET", function.url).status_code == 405


def test_refresh_raises_and_the_log_has_every_problem(world: StackWorld, tmp_path: Path) -> None:
    with world.other("refresh", tmp_path, WRONG) as function:
        headers = {"ce-id": "1", "ce-source": "s", "ce-specversion": "1.0", "ce-type": "t"}
        answer = world.post({}, to=function.url, headers={**headers, "Content-Type": "application/json"})
        assert answer.status_code == 500
        structured = [line for line in function.log().splitlines() if line.startswith("{")]
        assert any(all(name in line for name in WRONG) for line in structured)


def test_a_project_that_nobody_names_is_a_problem_too(world: StackWorld, tmp_path: Path) -> None:
    nobody = {"GOOGLE_CLOUD_PROJECT": "", "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
    with world.other("refresh_http", tmp_path, nobody) as function:
        answer = world.post(to=function.url)
    assert answer.status_code == 500
    assert "GOOGLE_CLOUD_PROJECT" in answer.json()["message"]


def test_numbers_may_have_fractions_and_blanks_mean_the_default(world: StackWorld, tmp_path: Path) -> None:
    world.declare("gmail-odd-numbers")
    odd = {"HTTP_TIMEOUT": "2.5", "REFRESH_WORKERS": "1.5", "CONFIRM_AFTER": " 0.5 ", "BREAKER_MIN": ""}
    with world.other("refresh_http", tmp_path, odd) as function:
        answer = world.post({"connections": ["gmail-odd-numbers"]}, to=function.url)
    assert answer.json()["counts"] == {"refreshed": 1}


def test_a_token_url_without_tls_gets_nothing_and_stops_nobody_else(world: StackWorld, tmp_path: Path) -> None:
    world.declare("gmail-with-tls")
    registration = {"client_id": "some-client", "client_secret": "some-client-secret", "provider": "plain"}
    world.create("oauth-client-plain")
    world.add("oauth-client-plain", json.dumps(registration))
    world.declare("gmail-without-tls", provider="plain", annotations={"token-refresh.client": "oauth-client-plain"})
    providers = tmp_path / "providers.toml"
    # What cannot be seen in the definition is seen when the URL is made.
    plain = '[plain]\ntoken_url = "http://{host}/token"\n[plain.variables]\nhost = "login.example.com"\n'
    providers.write_text(Path(world.stack.environment["PROVIDERS_FILE"]).read_text() + plain)
    with world.other("refresh_http", tmp_path, {"PROVIDERS_FILE": str(providers)}) as function:
        answer = world.post({"connections": ["gmail-with-tls", "gmail-without-tls"]}, to=function.url)
    outcomes = {one["name"]: one for one in answer.json()["connections"]}
    assert outcomes["gmail-with-tls"]["outcome"] == "refreshed"
    assert outcomes["gmail-without-tls"]["outcome"] == "misconfigured"
    assert "https" in outcomes["gmail-without-tls"]["message"]
