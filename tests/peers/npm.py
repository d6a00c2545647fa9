"""Peers from npm: what a lock file pins, installed once into the user's cache."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST_NODE = 20
LOCKED = ("package.json", "package-lock.json")


def why_missing(source: Path, files: Sequence[str] = LOCKED) -> str:
    """Install the peer if need be, and say why it cannot run here, for a skip; empty when it can."""
    name = source.name
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return f"Node.js is missing: npm's {name} cannot run"
    version = _version(node)
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {version} is too old for {name}, which needs {OLDEST_NODE}"
    try:
        install(source, files)
    except subprocess.CalledProcessError as failure:
        return f"npm could not install {name}: {failure.stderr.decode(errors='replace').strip()[-300:]}"
    return ""


@functools.cache
def _version(node: str) -> str:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True)
    return told.stdout.strip()


def install(source: Path, files: Sequence[str] = LOCKED) -> Path:
    """Install what the lock file in `source` pins, once per content of `files`; return the folder.

    Raises subprocess.CalledProcessError when npm fails.
    """
    content = hashlib.sha256(b"".join((source / name).read_bytes() for name in files)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "token-refresh"
    folder = cache / f"{source.name.replace('_', '-')}-{content}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        fresh = Path(temporary, "fresh")
        fresh.mkdir()
        for name in files:
            shutil.copy(source / name, fresh)
        command = [shutil.which("npm") or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=fresh, check=True, capture_output=True, timeout=300)
        try:
            fresh.rename(folder)
        except OSError:
            # Another process was faster.
            if not folder.is_dir():
                raise
    return folder
