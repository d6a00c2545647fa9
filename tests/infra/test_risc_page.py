"""docs/risc.md: registering the stream is what Google's API takes, for the events that the function knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.house.pages import blocks
from tests.infra.recording import Recording
from token_refresh.core.signals import SetError, read_events

pytestmark = pytest.mark.timeout(120)

# What would go to Google's RISC API is kept: one argument a line, the body as it is.
SCRIPT = """
export CLOUDSDK_CORE_PROJECT=my-project CLOUDSDK_CORE_ACCOUNT=me@example.com
curl() { printf '%s\\n' "${@: -1}" > "sent-$((++calls)).json"; printf '%s\\n' "$@" > "call-$calls.txt"; }
"""


@pytest.fixture(scope="module")
def registration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Path]:
    """Run the page's blocks one after the other."""
    missing = [tool for tool in ("gcloud", "jq") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("risc")
    shown = [block.replace("rm claims.json", "rm -f nothing-of") for block in blocks("docs/risc.md", "sh")]
    return Recording(SCRIPT + "\n".join(shown), folder), folder


def test_gcloud_takes_every_command(registration: tuple[Recording, Path]) -> None:
    recording, _ = registration
    assert not recording.complaints
    assert recording.sent("POST", ":enable$|:batchEnable$")
    roles = [r.body["policy"]["bindings"] for r in recording.sent("POST", ":setIamPolicy$")]
    assert [binding["role"] for bindings in roles for binding in bindings] == [
        "roles/riscconfigs.admin",
        "roles/iam.serviceAccountTokenCreator",
    ]


def test_the_token_is_for_the_api_and_signed_by_the_account(registration: tuple[Recording, Path]) -> None:
    recording, folder = registration
    claims = json.loads((folder / "claims.json").read_text())
    account = "risc-admin@my-project.iam.gserviceaccount.com"
    assert claims["iss"] == claims["sub"] == account
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["aud"].endswith("google.identity.risc.v1beta.RiscManagementService")
    (signing,) = recording.sent("POST", ":signJwt$")
    assert signing.path.endswith(f"/{account}:signJwt")
    assert json.loads(signing.body["payload"]) == claims


def test_the_stream_asks_for_the_events_that_the_function_knows(registration: tuple[Recording, Path]) -> None:
    _, folder = registration
    stream = json.loads((folder / "sent-1.json").read_text())
    meant = [kind for kind in stream["events_requested"] if not is_ignored(kind)]
    assert sorted(kind.rpartition("/")[2] for kind in stream["events_requested"] if kind not in meant) == [
        "verification"
    ]
    assert len(set(meant)) == 4
    assert stream["delivery"]["delivery_method"].endswith("/delivery-method/push")
    calls = [(folder / f"call-{number}.txt").read_text() for number in (1, 2)]
    assert "/v1beta/stream:update" in calls[0]
    assert "/v1beta/stream:verify" in calls[1]
    assert json.loads((folder / "sent-2.json").read_text()) == {"state": "hello"}


def is_ignored(kind: str) -> bool:
    """Tell whether the function acknowledges such an event without a look at its subject."""
    claims = {"iss": "https://a.example", "aud": "client", "jti": "1", "events": {kind: {}}}
    try:
        read_events(claims, "https://a.example", ["client"])
    except SetError:
        return False
    return True
