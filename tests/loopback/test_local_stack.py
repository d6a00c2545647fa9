"""The local stack starts everything, tells the functions where it is, and leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from infra.local import up
from infra.local.processes.process import Process, ProcessFailedError, python_module
from infra.local.stack import (
    DEAD_LETTERS_SUBSCRIPTION,
    EVENTS_SUBSCRIPTION,
    EVENTS_TOPIC,
    REFRESH_TOPIC,
    Stack,
)
from tests.worlds.depth import IN_CI
from tests.worlds.forks import from_nothing
from tests.worlds.gcloud import warm_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.processes.functions import Function

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).resolve().parents[2]

# Functions that print one line of JSON for each call: what they are told, or what their environment is.
MAIN = textwrap.dedent("""
    import json, os
    import functions_framework

    def show(entry, **what):
        # One write: the threads of a function share its output.
        os.write(1, ("SAW " + json.dumps({"entry": entry, **what}) + "\\n").encode())

    @functions_framework.http
    def refresh_http(request):
        names = [name for name in os.environ if name.isupper()]
        return {name: os.environ[name] for name in names}

    @functions_framework.cloud_event
    def refresh(event):
        show("refresh", source=event["source"], type=event["type"], data=event.data)
        if event.data["message"].get("attributes", {}).get("fail"):
            raise ValueError("as asked")

    @functions_framework.cloud_event
    def notify(event):
        show("notify", source=event["source"], type=event["type"], data=event.data)
""")


def saw(function: Function) -> list[dict[str, Any]]:
    lines = function.log().splitlines()
    return [json.loads(line.removeprefix("SAW ")) for line in lines if line.startswith("SAW ")]


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def _from_nothing() -> Iterator[None]:
    """Start the processes as `make demo` does, which the other tests do not."""
    with from_nothing():
        yield


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    source = tmp_path_factory.mktemp("source") / "main.py"
    source.write_text(MAIN)
    with Stack(
        source=source, functions=("refresh_http", "refresh", "notify"), environment={"CONFIRM_AFTER": "1"}
    ) as stack:
        yield stack


def test_the_functions_are_told_every_address(stack: Stack) -> None:
    told = requests.post(stack.functions["refresh_http"].url, timeout=10).json()
    assert told["GOOGLE_CLOUD_PROJECT"] == "local-project"
    assert told["SECRET_MANAGER_EMULATOR_HOST"] == stack.secret_manager.grpc_address
    assert told["PUBSUB_EMULATOR_HOST"] == stack.pubsub.address
    assert told["NOTIFY_URLS"] == stack.mail.notify_urls
    assert told["CONFIRM_AFTER"] == "1"
    assert stack.authorization_server.token_url in Path(told["PROVIDERS_FILE"]).read_text()


def test_a_message_on_the_refresh_topic_reaches_refresh_as_a_cloud_event(stack: Stack) -> None:
    stack.pubsub.publish(REFRESH_TOPIC, b'{"force": true}', {"mark": "one"})
    function = stack.functions["refresh"]
    assert eventually(lambda: any('"mark": "one"' in json.dumps(call) for call in saw(function)))
    call = next(call for call in saw(function) if '"mark": "one"' in json.dumps(call))
    assert call["source"] == "//pubsub.googleapis.com/projects/local-project/topics/token-refresh"
    assert call["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert base64.b64decode(call["data"]["message"]["data"]) == b'{"force": true}'


def test_a_message_that_refresh_refuses_becomes_a_dead_letter(stack: Stack) -> None:
    stack.pubsub.publish(REFRESH_TOPIC, b"{}", {"fail": "yes"})
    found: list[str] = []

    def buried() -> bool:
        found.extend(message.attributes["fail"] for message in stack.pubsub.pull(DEAD_LETTERS_SUBSCRIPTION))
        return bool(found)

    assert eventually(buried, seconds=60)


def test_an_event_reaches_notify_and_the_pull_subscription(stack: Stack) -> None:
    attributes = {
        "ce-id": "1",
        "ce-source": "//token-refresh",
        "ce-specversion": "1.0",
        "ce-type": "dev.token-refresh.recovered.v1",
        "content-type": "application/json",
    }
    stack.pubsub.publish(EVENTS_TOPIC, b'{"connection": "gmail-ada"}', attributes, ordering_key="gmail-ada")
    function = stack.functions["notify"]
    assert eventually(lambda: len(saw(function)) > 0)
    assert saw(function)[0]["type"] == "dev.token-refresh.recovered.v1"
    assert saw(function)[0]["data"] == {"connection": "gmail-ada"}
    (message,) = stack.pubsub.pull(EVENTS_SUBSCRIPTION)
    assert message.attributes["ce-id"] == "1"


def test_a_secret_with_the_topic_announces_its_versions(stack: Stack) -> None:
    url = f"{stack.secret_manager.rest_url.rstrip('/')}/v1/projects/local-project/secrets"
    topics = [{"name": stack.pubsub.topic_name(REFRESH_TOPIC)}]
    secret = {"replication": {"automatic": {}}, "topics": topics}
    requests.post(url, params={"secretId": "announced"}, json=secret, timeout=10).raise_for_status()
    payload = {"payload": {"data": base64.b64encode(b"value").decode()}}
    requests.post(f"{url}/announced:addVersion", json=payload, timeout=10).raise_for_status()
    assert eventually(lambda: '"SECRET_VERSION_ADD"' in json.dumps(saw(stack.functions["refresh"])))


def test_a_killed_function_comes_back_at_the_same_address(stack: Stack) -> None:
    function = stack.functions["refresh_http"]
    assert function.process is not None
    before = function.process.pid
    function.restart()
    assert function.process.pid != before
    assert requests.post(function.url, timeout=10).ok


def test_a_function_that_cannot_start_says_why_and_nothing_is_left(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("raise RuntimeError('broken on purpose')")
    stack = Stack(source=source, functions=("refresh_http",), emulator=False)
    with pytest.raises(ProcessFailedError, match="broken on purpose"), stack:
        pass
    with pytest.raises(requests.ConnectionError):
        requests.get(stack.authorization_server.url, timeout=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_every_process_of_the_stack(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    # To Java a group is ended as to the others: where one works, once is enough.
    emulator = None if IN_CI or number == signal.SIGKILL else False
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(f"""
            import signal, sys, time
            from pathlib import Path
            # As a terminal starts it; what a background job starts inherits that SIGINT is ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from infra.local.processes.process import end_on_signals
            from infra.local.stack import Stack
            end_on_signals()
            source = Path(__file__).with_name("main.py")
            with Stack(source=source, functions=("refresh_http", "refresh"), emulator={emulator}) as stack:
                for function in stack.functions.values():
                    print("PID", function.process.pid, flush=True)
                print("URL", stack.authorization_server.url, stack.pubsub.address, flush=True)
                time.sleep(60)
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "out").open("w") as output:
        parent = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=output)
    try:
        assert eventually(lambda: "URL" in (tmp_path / "out").read_text(), seconds=60)
        words = (tmp_path / "out").read_text().split()
        parent.send_signal(number)
        parent.wait(30)
    finally:
        parent.kill()
        parent.wait(5)
    groups = [int(words[i + 1]) for i, word in enumerate(words) if word == "PID"]
    assert eventually(lambda: not any(map(is_running, groups)))
    for url in (words[words.index("URL") + 1], f"http://{words[words.index('URL') + 2]}"):
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)


def test_waiting_for_a_line_that_never_comes_is_bounded(tmp_path: Path) -> None:
    with (
        Process("sleeper", [sys.executable, "-c", "print('up'); input()"], logs=tmp_path) as process,
        pytest.raises(ProcessFailedError, match="sleeper"),
    ):
        process.wait_for_line("never", seconds=0.3)


def test_a_module_runs_in_this_interpreter() -> None:
    assert python_module("http.server", "--help")[:2] == [sys.executable, "-m"]


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is missing: the printed example cannot run")
def test_the_example_that_up_prints_works_with_the_real_gcloud() -> None:
    with Stack(functions=("refresh_http",), emulator=False) as stack:
        up.prepare(stack)
        script = up.EXAMPLE.format(**up.addresses(stack))
        environment = os.environ | {"PATH": warm_path()}
        run = subprocess.run(
            ["sh", "-euc", script], env=environment, capture_output=True, text=True, timeout=90, check=True
        )
        document = json.loads(run.stdout.splitlines()[-1])
        headers = {"Authorization": f"Bearer {document['access_token']}"}
        claims = requests.get(stack.authorization_server.userinfo_url, headers=headers, timeout=10).json()
    assert claims["email"] == up.OWNER


def test_the_demo_tells_its_story_and_ends_well() -> None:
    command = python_module("infra.local", "demo")
    run = subprocess.run(  # noqa: PLW1510 - the output says more than an exception
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for words in ("refreshed", "needs_consent", "invalid_client", "invalid_grant.v1", "recovered.v1", "status page"):
        assert words in run.stdout
