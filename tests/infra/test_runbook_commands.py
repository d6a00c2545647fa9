"""Every gcloud command of the runbook and of the page on security is one that the installed gcloud takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.infra.plans import ROOT
from tests.infra.recording import Recording

pytestmark = pytest.mark.timeout(300)

# In place of what is not gcloud, of a command that would not end, and of one that asks for an account.
STUBS = """
curl() { :; }
jq() { echo key=value; }
gcloud() { case "$*" in *"services proxy"*) ;; *print-identity-token) echo token ;; *) command gcloud "$@" ;; esac; }
"""


@pytest.mark.parametrize("page", ["docs/runbook.md", "docs/security.md"])
def test_gcloud_takes_every_command_of_the_page(page: str, tmp_path: Path) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"`(gcloud [^`]*\$[^`]*)`", text)
    assert blocks
    recording = Recording(
        f"PROJECT=my-project REGION=europe-west1 CONNECTION=gmail-alice\n{STUBS}" + "\n".join(blocks), tmp_path
    )
    # The recorder has no service to describe.
    assert not [line for line in recording.complaints if "Cannot find service" not in line]
    assert recording.requests
