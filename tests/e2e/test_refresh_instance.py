"""Instances under load: requests at once, threads and worker processes, a kill in the middle."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.worlds.stack import StackWorld, eventually

AT_ONCE = 8


def run_at_once(world: StackWorld, url: str, bodies: Sequence[object]) -> list[requests.Response]:
    barrier = threading.Barrier(len(bodies))

    def post(body: object) -> requests.Response:
        barrier.wait(30)
        with requests.Session() as session:
            session.trust_env = False
            return session.post(url, json=body, timeout=60)

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(post, bodies))
    world.bodies += [answer.text for answer in answers]
    return answers


def outcomes(answers: list[requests.Response]) -> list[str]:
    assert {answer.status_code for answer in answers} == {200}
    told = [one for answer in answers for one in answer.json()["connections"]]
    print("\n".join(f"{one['name']} {one['outcome']} ({one['reason']})" for one in told))  # noqa: T201 - shown on failure
    return [one["outcome"] for one in told]


def test_requests_at_once_send_a_single_use_refresh_token_once(world: StackWorld) -> None:
    world.declare("crowd", "crm")
    began = len(world.sent("crm"))
    bodies = [{"connections": ["crowd"], "force": True}] * AT_ONCE
    answers = run_at_once(world, world.stack.functions["refresh_http"].url, bodies)
    assert set(outcomes(answers)) <= {"refreshed", "busy", "fresh"}
    assert "refreshed" in outcomes(answers)
    sent = world.sent("crm")[began:]
    assert len(sent) == len(set(sent)), "a refresh token was sent twice"
    assert world.run("crowd", force=True)["crowd"]["outcome"] == "refreshed"
    world.assert_token_works("crowd")


def test_worker_processes_share_nothing_and_still_send_it_once(world: StackWorld, tmp_path: Path) -> None:
    world.declare("workers", "crm")
    began = len(world.sent("crm"))
    with world.other("refresh_http", tmp_path, {"WORKERS": "2", "THREADS": "4"}) as function:
        answers = run_at_once(world, function.url, [{"connections": ["workers"], "force": True}] * AT_ONCE)
    assert set(outcomes(answers)) <= {"refreshed", "busy", "fresh"}
    assert "refreshed" in outcomes(answers)
    sent = world.sent("crm")[began:]
    assert len(sent) == len(set(sent)), "a refresh token was sent twice"
    world.assert_token_works("workers")


def test_requests_at_once_for_many_connections_all_end_well(world: StackWorld) -> None:
    # Each names its own: this authorization server answers 500 to one refresh token sent twice in the same moment.
    names = [[f"many-{caller}-{number}" for number in range(3)] for caller in range(AT_ONCE)]
    for name in itertools.chain(*names):
        world.declare(name)
    bodies = [{"connections": mine} for mine in names]
    answers = run_at_once(world, world.stack.functions["refresh_http"].url, bodies)
    assert set(outcomes(answers)) == {"refreshed"}
    for name in itertools.chain(*names):
        world.assert_token_works(name)


def test_an_instance_killed_in_the_middle_of_a_run_leaves_nothing_that_the_next_cannot_do(world: StackWorld) -> None:
    for name, client in (("killed-mail", "mailbox"), ("killed-crm", "crm")):
        world.declare(name, client)
    body = {"connections": ["killed-mail", "killed-crm"]}
    # Before the provider has heard of it: nothing is spent.
    hang = world.stack.secret_manager.faults.add(rpc="AccessSecretVersion", hang=True)
    function = world.stack.functions["refresh_http"]

    def post() -> str:
        try:
            return world.post(body).text
        except requests.ConnectionError:
            return "gone"

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        assert eventually(lambda: hang.hits >= 2)
        function.restart()
        world.stack.secret_manager.faults.clear()
        assert answer.result(60) == "gone"
    report = world.run(*body["connections"])
    assert {one["outcome"] for one in report.values()} == {"refreshed"}
    world.assert_token_works("killed-crm")


def test_log_lines_are_json_and_carry_no_url(world: StackWorld) -> None:
    world.declare("logged")
    function = world.stack.functions["refresh_http"]
    world.canaries.add("a-query-nobody-may-log")
    began = len(function.log())
    trace = "105445aa7843bc8bf206b12000100000/1;o=1"
    answer = world.post(
        {"connections": ["logged"]},
        to=f"{function.url}/?code=a-query-nobody-may-log",
        headers={"X-Cloud-Trace-Context": trace},
    )
    assert answer.status_code == 200
    assert eventually(lambda: '"run"' in function.log()[began:])
    lines = function.log()[began:].splitlines()
    assert all(line.startswith("{") for line in lines), lines
    entries = world.log_lines("refresh_http", began)
    assert len(entries) == len(lines)
    for entry in entries:
        assert entry["severity"] == "INFO"
        assert entry["message"]
        assert not entry.get("httpRequest")
        assert entry["logging.googleapis.com/trace"] == f"{world.project}/traces/{trace.partition('/')[0]}"
    (connection,) = [entry for entry in entries if entry.get("event") == "connection"]
    assert (connection["connection"], connection["outcome"]) == ("logged", "refreshed")
    assert "a-query-nobody-may-log" not in function.log()
