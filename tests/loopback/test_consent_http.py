"""The consent function as a process: every answer carries the headers, and a broken one says nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from infra.local.processes.functions import Function
from tests.worlds.stack import eventually

pytestmark = pytest.mark.timeout(60)
GOOD = {
    "GOOGLE_CLOUD_PROJECT": "some-project",
    "CONSENT_URL": "http://localhost",
    "CONSENT_SIGNING_KEY": "CANARY-signing-key-of-32-characters",
    "SECRET_MANAGER_EMULATOR_HOST": "127.0.0.1:9",
}
HEADERS = (
    "Cache-Control",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Robots-Tag",
)


@pytest.fixture(scope="module")
def consent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with Function("consent", environment=GOOD, logs=tmp_path_factory.mktemp("good")) as function:
        yield function


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    environment = {**GOOD, "HTTP_TIMEOUT": "CANARY-ten", "PROVIDERS_FILE": "CANARY-providers.toml"}
    with Function("consent", environment=environment, logs=tmp_path_factory.mktemp("broken")) as function:
        yield function


def ask(function: Function, path: str, method: str = "GET") -> requests.Response:
    return requests.request(method, function.url + path, timeout=30)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/robots.txt", 404),
        ("GET", "/favicon.ico", 404),
        ("GET", "/", 404),
        ("GET", "/consent/gmail-alice?ticket=x", 403),
        ("POST", "/consent/gmail-alice?ticket=x", 403),
        ("GET", "/callback?code=a&state=b", 403),
        ("POST", "/callback", 405),
        ("GET", "/done/gmail-alice", 403),
        ("PUT", "/done/gmail-alice", 405),
        ("GET", "/callback?" + "a" * 40_000, 414),
    ],
)
def test_every_answer_carries_the_same_headers(consent: Function, method: str, path: str, status: int) -> None:
    answer = ask(consent, path, method)
    assert answer.status_code == status
    assert [name for name in HEADERS if name not in answer.headers] == []
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/consent/gmail-alice?ticket=x", "/callback", "/done/x", "/"])
def test_a_broken_environment_is_a_page_that_says_nothing_of_it(broken: Function, path: str) -> None:
    began = len(broken.log())
    answer = ask(broken, path)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Something is wrong on our side" in answer.text
    assert [name for name in HEADERS if name not in answer.headers] == []
    for word in ("CANARY", "HTTP_TIMEOUT", "PROVIDERS_FILE", "environment"):
        assert word not in answer.text
    assert eventually(lambda: "HTTP_TIMEOUT must be a positive number" in broken.log()[began:])
