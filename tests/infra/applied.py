"""A configuration that was applied, with the stand-in for its providers; plans are against that state."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.infra.plans import QUICKLY, TERRAFORM, checkout


class Applied:
    """The state of one configuration of `checkout()`; `scratch` keeps it."""

    def __init__(self, configuration: Path, scratch: Path) -> None:
        self._configuration = configuration
        self._scratch = scratch

    def apply(self, *options: str) -> None:
        """Apply with these variables."""
        self._terraform("apply", "-auto-approve", "-input=false", *options)

    def plan(self, *options: str) -> dict[str, dict[str, Any]]:
        """Return what a plan would change: address -> actions, before and after."""
        out = self._scratch / "plan"
        self._terraform("plan", "-input=false", f"-out={out}", *options)
        document = json.loads(self._terraform("show", "-json", str(out)))
        return {
            change["address"]: change["change"]
            for change in document["resource_changes"]
            if change["change"]["actions"] not in (["no-op"], ["read"])
        }

    def apply_plan(self) -> None:
        """Apply what was planned last."""
        self._terraform("apply", "-input=false", str(self._scratch / "plan"))

    def _terraform(self, *arguments: str) -> str:
        command = [*TERRAFORM, "--scratch", f"-chdir={self._configuration}", *arguments]
        # Where that was done once is all that plans need: it would be initialised each time.
        view = next(self._scratch.glob(f"*/*/{self._configuration.relative_to(checkout())}/.terraform"), None)
        if view and arguments[0] != "apply":
            command = [*TERRAFORM, f"-chdir={view.parent}", *arguments]
        environment = os.environ | QUICKLY | {"TERRAFORM_OFFLINE_SCRATCH": str(self._scratch)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def actions(changes: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return what would be done by address."""
    return {address: change["actions"] for address, change in changes.items()}
