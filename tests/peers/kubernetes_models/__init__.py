"""npm's `kubernetes-models`: the schemas of Kubernetes objects and of External Secrets Operator's.

Its newest schemas of External Secrets are those of v1beta1; the fields that we use are the same in v1.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.peers import npm

HERE = Path(__file__).parent
FILES = (*npm.LOCKED, "validate.mjs")
_ESO = "external-secrets.io/"


@functools.cache
def why_missing() -> str:
    """Install the schemas if need be, and say why they cannot be used here, for a skip; empty when they can."""
    return npm.why_missing(HERE, FILES)


def faults(objects: Sequence[Mapping[str, object]]) -> list[str]:
    """Hold objects against the schemas of their kinds; return one line for each that does not fit."""
    as_known = [
        {**one, "apiVersion": f"{_ESO}v1beta1"} if str(one["apiVersion"]).startswith(_ESO) else one for one in objects
    ]
    done = subprocess.run(
        [shutil.which("node") or "node", "validate.mjs"],
        cwd=npm.install(HERE, FILES),
        input=json.dumps(as_known),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found
