"""Shell scripts run with the installed gcloud against a recorder instead of Google."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.infra.google_recorder import GoogleRecorder, Request
from tests.worlds.gcloud import warm_path


class Recording:
    """What gcloud would have sent, and what it said."""

    def __init__(self, script: str, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text("def refresh(event): ...\n")
        for name in ("requirements.txt", "client_secret.json", "notify-urls.txt"):
            (folder / name).write_text("{}\n")
        with GoogleRecorder() as recorder:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=folder,
                env=os.environ | recorder.environment(str(folder / "gcloud")) | {"PATH": warm_path()},
                capture_output=True,
                text=True,
                timeout=400,
                check=False,
            )
        self.requests: list[Request] = recorder.requests
        self.complaints = re.findall(r"^.*(?:ERROR|command not found|unbound).*$", done.stderr, re.MULTILINE)

    def sent(self, method: str, path: str) -> list[Request]:
        """Return the requests of a method whose path matches."""
        return [r for r in self.requests if r.method == method and re.search(path, r.path)]
