"""SIGTERM to the process that holds the only copy of a new refresh token (contract 7)."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.stack import StackWorld

pytestmark = pytest.mark.timeout(120)
# The add is tried until the lease ends.
QUICK = {"HTTP_TIMEOUT": "1.2", "LEASE_SECONDS": "5"}


def lease(world: StackWorld, name: str) -> dict[str, Any]:
    secret = world.client.get_secret(name=f"{world.project}/secrets/{name}-refresh-token")
    note: dict[str, Any] = json.loads(secret.annotations["token-refresh.lease"])
    return note


@pytest.mark.parametrize("is_mended", [True, False])
def test_a_process_that_ends_saves_what_it_can_and_else_ends_its_lease(
    world: StackWorld, tmp_path: Path, *, is_mended: bool
) -> None:
    name = f"ending-{'mended' if is_mended else 'broken'}"
    spent = world.declare(name, "crm")
    secret_id = f"{name}-refresh-token"
    faults = world.stack.secret_manager.faults
    fault = faults.add(rpc="AddSecretVersion", secret=secret_id, code="PERMISSION_DENIED")
    with world.other("refresh_http", tmp_path, QUICK) as function:
        rows = world.post({"connections": [name]}, to=function.url).json()["connections"]
        assert [row["reason"] for row in rows] == ["rotated_token_not_saved"]
        assert lease(world, name)["unsaved"]
        if is_mended:
            faults.active.remove(fault)
        told_at = time.time()
        function.stop()
    faults.clear()
    found = lease(world, name)
    if is_mended:
        assert found == {"holder": "", "until": 0, "version": 2}
        assert world.read(secret_id) != spent
        assert world.run(name)[name]["outcome"] == "refreshed"
    else:
        assert found.keys() == {"holder", "until", "version"}, "not unsaved any more"
        assert found["holder"], "not released: the token is spent"
        assert found["version"] == 1
        assert told_at - 1 <= found["until"] <= time.time()


def test_a_signal_in_the_first_moments_of_the_first_run_is_not_missed(world: StackWorld, tmp_path: Path) -> None:
    """The handler is set by the main thread, which sleeps for up to a second while a request is carried out."""
    world.declare("early", "crm")
    faults = world.stack.secret_manager.faults
    fault = faults.add(rpc="AddSecretVersion", secret="early-refresh-token", code="PERMISSION_DENIED")
    patient = {"HTTP_TIMEOUT": "1.2", "LEASE_SECONDS": "60"}
    with world.other("refresh_http", tmp_path, patient) as function, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.post, {"connections": ["early"]}, to=function.url)
        while not fault.hits:
            time.sleep(0.01)
        function.terminate()
        end = time.monotonic() + 5
        while time.monotonic() < end and lease(world, "early")["until"] > time.time():
            time.sleep(0.05)
        assert lease(world, "early")["until"] <= time.time(), "the lease has been ended"
        assert lease(world, "early")["holder"], "and not released"
        faults.clear()
        answer.exception()  # whatever it came to
