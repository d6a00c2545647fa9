"""Instances under load: requests at once, threads and worker processes, a kill in the middle."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.e2e.world import World, eventually

AT_ONCE = 8


def run_at_once(world: World, url: str, body: object) -> list[requests.Response]:
    barrier = threading.Barrier(AT_ONCE)

    def post(_: int) -> requests.Response:
        barrier.wait(30)
        with requests.Session() as session:
            session.trust_env = False
            return session.post(url, json=body, timeout=60)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(post, range(AT_ONCE)))
    world.bodies += [answer.text for answer in answers]
    return answers


def outcomes(answers: list[requests.Response]) -> list[str]:
    assert {answer.status_code for answer in answers} == {200}
    return [one["outcome"] for answer in answers for one in answer.json()["connections"]]


def test_requests_at_once_send_a_single_use_refresh_token_once(world: World) -> None:
    world.declare("crowd", "crm")
    began = len(world.sent("crm"))
    answers = run_at_once(
        world, world.stack.functions["refresh_http"].url, {"connections": ["crowd"], "force": True}
    )
    assert set(outcomes(answers)) <= {"refreshed", "busy", "fresh"}
    assert "refreshed" in outcomes(answers)
    sent = world.sent("crm")[began:]
    assert len(sent) == len(set(sent)), "a refresh token was sent twice"
    assert world.run("crowd", force=True)["crowd"]["outcome"] == "refreshed"
    world.assert_token_works("crowd")


def test_worker_processes_share_nothing_and_still_send_it_once(world: World, tmp_path: Path) -> None:
    world.declare("workers", "crm")
    began = len(world.sent("crm"))
    with world.other("refresh_http", tmp_path, {"WORKERS": "2", "THREADS": "4"}) as function:
        answers = run_at_once(world, function.url, {"connections": ["workers"], "force": True})
    assert set(outcomes(answers)) <= {"refreshed", "busy", "fresh"}
    assert "refreshed" in outcomes(answers)
    sent = world.sent("crm")[began:]
    assert len(sent) == len(set(sent)), "a refresh token was sent twice"
    world.assert_token_works("workers")


def test_requests_at_once_for_many_connections_all_end_well(world: World) -> None:
    names = [f"many-{number}" for number in range(12)]
    for name in names:
        world.declare(name)
    answers = run_at_once(world, world.stack.functions["refresh_http"].url, {"connections": names})
    assert set(outcomes(answers)) <= {"refreshed", "fresh"}
    for name in names:
        world.assert_token_works(name)


def test_an_instance_killed_in_the_middle_of_a_run_leaves_nothing_that_the_next_cannot_do(world: World) -> None:
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


def test_log_lines_are_json_and_carry_no_url(world: World) -> None:
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
