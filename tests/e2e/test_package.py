"""`pipx install .` brings the command and all that it reads: definitions, templates, types."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_the_wheel_has_every_file_of_the_package_and_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode and "No matching distribution found for hatchling" in done.stderr:
        pytest.skip("no package index: the build backend cannot be had")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("token_refresh-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
        scripts = next(name for name in names if name.endswith("entry_points.txt"))
        assert "token-refresh = token_refresh.cli.app:main" in archive.read(scripts).decode()
    tracked = subprocess.run(
        ["git", "ls-files", "token_refresh"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name for name in names if name.startswith("token_refresh/")} == set(tracked)
    assert "token_refresh/py.typed" in names
    # As it is installed, away from the checkout: it finds its definitions and can be completed by the shell.
    assert "google" in told(tmp_path, "providers", "list")
    assert "Show every connection" in told(tmp_path, "--help")
    completing = {"_TOKEN_REFRESH_COMPLETE": "bash_complete", "COMP_WORDS": "token-refresh pro", "COMP_CWORD": "1"}
    assert told(tmp_path, **completing) == "plain,providers\n"


def told(folder: Path, *arguments: str, **environment: str) -> str:
    """Run the command as its entry point does, with the package in `installed`; returns what it says."""
    start = "import sys; from token_refresh.cli.app import main; sys.argv[0] = 'token-refresh'; main()"
    environment |= {"PYTHONPATH": str(folder / "installed"), "PATH": ""}
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout
