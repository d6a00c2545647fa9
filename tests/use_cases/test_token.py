"""`token` over a fake store: statuses, headers, the limit on refusals, and what is said about it (contract 12)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import flask
import pytest

from token_refresh.core.secrecy import Secret
from token_refresh.core.token_exchange import ACCESS_TOKEN, GRANT_TYPE
from token_refresh.errors import CallerNotAccepted, CallerNotAllowed, StoreUnavailable
from token_refresh.instance.recent import Refusals
from token_refresh.web.token import handle_token

JOB = "ya29.job-of-team-a-0123456789"
NOW = 1_800_000_000.0
DOCUMENT = {
    "access_token": "ya29.the-owners-0123456789",
    "token_type": "Bearer",
    "expires_at": NOW + 600,
    "scope": "openid email",
    "connection": "gmail-alice",
    "refreshed_at": NOW - 3000,
    "connection_version": "3",
}


@dataclass
class Callers:
    """Secret Manager as callers see it: `good` tokens are accepted, `payloads` may be read by all of them."""

    good: set[str] = field(default_factory=lambda: {JOB})
    payloads: dict[str, bytes] = field(
        default_factory=lambda: {"gmail-alice-access-token": json.dumps(DOCUMENT).encode()}
    )
    broken: bool = False
    asked: list[str] = field(default_factory=list)

    def read(self, secret_id: str, caller: Secret) -> bytes:
        self.asked.append(caller.reveal())
        if self.broken:
            raise StoreUnavailable(f"cannot access secret {secret_id}: ServiceUnavailable")
        if caller.reveal() not in self.good:
            raise CallerNotAccepted("Secret Manager does not accept the caller's token")
        if secret_id not in self.payloads:
            raise CallerNotAllowed(f"the caller cannot read secret {secret_id}")
        return self.payloads[secret_id]


@dataclass
class Door:
    """The function with its store and its clock."""

    store: Callers = field(default_factory=Callers)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.refusals = Refusals(60, 60.0, lambda: self.now)
        self.app = flask.Flask(__name__)

    def send(self, body: bytes, method: str = "POST", path: str = "/token") -> flask.Response:
        with self.app.test_request_context(
            path, method=method, data=body, content_type="application/x-www-form-urlencoded"
        ):
            return handle_token(flask.request, self.store, self.refusals, lambda: NOW + self.now)

    def ask(self, connection: str = "gmail-alice", caller: str = JOB, **more: str) -> flask.Response:
        form: Mapping[str, str] = {
            "grant_type": GRANT_TYPE,
            "audience": f"//token-refresh/connections/{connection}",
            "subject_token_type": ACCESS_TOKEN,
            "subject_token": caller,
            **more,
        }
        return self.send(urlencode(form).encode())


@pytest.fixture
def door() -> Door:
    return Door()


def answer_of(response: flask.Response) -> tuple[int, str]:
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_type == "application/json"
    return response.status_code, json.loads(response.get_data())["error"]


def test_a_caller_that_may_read_the_secret_gets_the_token(door: Door) -> None:
    response = door.ask(scope="whatever", requested_token_type=ACCESS_TOKEN)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.get_data()) == {
        "access_token": DOCUMENT["access_token"],
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "openid email",
    }


@pytest.mark.parametrize("path", ["/", "/token", "/v1/token?x=y"])
def test_any_path_will_do(door: Door, path: str) -> None:
    body = urlencode(
        {
            "grant_type": GRANT_TYPE,
            "audience": "//token-refresh/connections/gmail-alice",
            "subject_token_type": ACCESS_TOKEN,
            "subject_token": JOB,
        }
    )
    assert door.send(body.encode(), path=path).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_post_asks_for_a_token(door: Door, method: str) -> None:
    response = door.send(b"", method)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.headers["Cache-Control"] == "no-store"
    assert not door.store.asked


def test_unknown_and_forbidden_connections_get_the_same_answer(door: Door) -> None:
    door.store.payloads["text-access-token"] = b"ya29.bare-token-0123456789"
    unknown, forbidden, text = (door.ask(name) for name in ("nobody", "someone-elses", "text"))
    assert answer_of(unknown) == (400, "invalid_target")
    assert unknown.get_data() == forbidden.get_data() == text.get_data()


def test_a_token_that_secret_manager_does_not_know_is_an_invalid_grant(door: Door) -> None:
    assert answer_of(door.ask(caller="ya29.stale")) == (400, "invalid_grant")


def test_a_form_that_cannot_be_used_asks_nobody(door: Door) -> None:
    assert answer_of(door.send(b"grant_type=authorization_code&code=x")) == (400, "unsupported_grant_type")
    assert answer_of(door.send(b"")) == (400, "invalid_request")
    assert not door.store.asked


def test_a_token_that_has_run_out_is_temporary(door: Door) -> None:
    door.now = 601
    response = door.ask()
    assert answer_of(response) == (503, "temporarily_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_trouble_of_secret_manager_is_temporary_and_is_no_refusal(door: Door) -> None:
    door.store.broken = True
    for _ in range(100):
        response = door.ask()
        assert answer_of(response) == (503, "temporarily_unavailable")
        assert int(response.headers["Retry-After"]) > 0


def refuse(door: Door, times: int) -> list[int]:
    return [door.ask(caller=f"ya29.guess-{n}").status_code for n in range(times)]


def test_a_flood_of_bad_tokens_is_turned_away_after_sixty(door: Door) -> None:
    assert refuse(door, 60) == [400] * 60
    asked = len(door.store.asked)
    response = door.ask(caller="ya29.one-more")
    assert answer_of(response) == (429, "temporarily_unavailable")
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert len(door.store.asked) == asked


def test_a_flood_stops_no_job_that_has_been_served(door: Door) -> None:
    assert door.ask().status_code == 200
    refuse(door, 200)
    assert door.ask().status_code == 200
    door.store.good.add("ya29.a-new-job")
    assert door.ask(caller="ya29.a-new-job").status_code == 429
    door.now += 61
    assert door.ask(caller="ya29.a-new-job").status_code == 200


def test_answers_are_not_limited(door: Door) -> None:
    assert {door.ask().status_code for _ in range(200)} == {200}


def test_a_served_caller_whose_token_ends_is_a_stranger_again(door: Door) -> None:
    assert door.ask().status_code == 200
    door.store.good.clear()
    assert door.ask().status_code == 400
    refuse(door, 59)
    assert door.ask().status_code == 429


def test_refusals_for_a_connection_count_too(door: Door) -> None:
    door.store.good.add("ya29.curious")
    assert [door.ask(f"guess-{n}", "ya29.curious").status_code for n in range(61)] == [400] * 60 + [429]


def test_only_so_many_callers_are_remembered() -> None:
    refusals = Refusals(1, 60.0, lambda: 0.0, served=2)
    callers = [Secret(f"caller-{n}") for n in range(3)]
    for caller in callers:
        refusals.note_served(caller)
    refusals.note_refused(Secret("guess"))
    assert [refusals.wait_of(caller) for caller in callers] == [60.0, 0.0, 0.0]


def test_no_token_is_said_or_kept(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        door.ask()
        door.ask("nobody")
        door.store.broken = True
        door.ask()
    lines = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "gmail-alice" in lines
    assert "ya29" not in lines
    assert JOB.encode() not in repr(vars(door.refusals)).encode()
