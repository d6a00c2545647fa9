"""Examples for frameworks that are too large to install: their own code, with stand-ins for the framework."""

from __future__ import annotations

import base64
import json
import runpy
import sys
import types
from typing import Any

import pytest
from google.cloud import secretmanager

from tests.worlds.cloud import EXAMPLES, Cloud


@pytest.fixture
def here(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Let the client library of this process find the local Secret Manager."""
    monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", lambda: cloud.world.client)
    return cloud


def test_the_line_of_xoauth2_is_the_documented_one() -> None:
    """https://developers.google.com/workspace/gmail/imap/xoauth2-protocol#the_sasl_xoauth2_mechanism"""
    line = runpy.run_path(str(EXAMPLES / "python" / "imap_xoauth2.py"))["xoauth2"](
        "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    )
    assert base64.b64encode(line) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2"
        b"cBAQ=="
    )


def test_a_beam_worker_makes_its_credentials_where_it_runs(
    here: Cloud, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against apache-beam itself by hand; here only its two names stand in."""
    options = types.SimpleNamespace(PipelineOptions=object)
    beam = types.SimpleNamespace(DoFn=object, options=types.SimpleNamespace(pipeline_options=options))
    for module, stand_in in {
        "apache_beam": beam,
        "apache_beam.options": beam.options,
        "apache_beam.options.pipeline_options": options,
    }.items():
        monkeypatch.setitem(sys.modules, module, stand_in)
    token = here.connect(name)
    worker = runpy.run_path(str(EXAMPLES / "dataflow" / "pipeline.py"))["ReadSubject"](here.project, name)
    worker.setup()
    credentials = worker.messages._http.credentials
    credentials.refresh(None)
    assert credentials.token == token
    assert credentials.valid


class _Task:
    """Stands in for Airflow's decorators: a task is the function itself."""

    def __call__(self, *args: Any, **_: Any) -> Any:
        return args[0] if args and callable(args[0]) else lambda function: function


def test_an_airflow_task_reads_the_token_and_makes_a_connection_of_it(
    here: Cloud, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against Airflow 3.1 by hand; here only its names stand in."""
    sdk = types.SimpleNamespace(
        Connection=types.SimpleNamespace, dag=lambda **_: lambda _function: lambda: None, task=_Task()
    )
    for module, stand_in in {
        "airflow": types.SimpleNamespace(),
        "airflow.exceptions": types.SimpleNamespace(AirflowException=RuntimeError),
        "airflow.sdk": sdk,
        "pendulum": types.SimpleNamespace(datetime=lambda *_: None),
    }.items():
        monkeypatch.setitem(sys.modules, module, stand_in)
    token = here.connect(name)
    dag = runpy.run_path(str(EXAMPLES / "airflow" / "gmail_dag.py"))
    made = dag["http_connection"](name, "gmail.googleapis.com", here.project)
    assert (made.conn_type, made.schema, made.host) == ("http", "https", "gmail.googleapis.com")
    assert json.loads(made.extra) == {"Authorization": f"Bearer {token}"}
