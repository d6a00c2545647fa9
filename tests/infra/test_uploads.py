"""What gcloud uploads: the source of the functions, or everything that the build needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.plans import ROOT
from tests.worlds.gcloud import warm_path

SOURCE = {"main.py", "requirements.txt", "token_refresh", "LICENSE", ".gcloudignore"}
# What lies about in a checkout where somebody works.
LITTER = (
    ".venv/bin/python",
    ".git/config",
    "infra/.terraform/modules.json",
    "infra/examples/minimal/terraform.tfstate",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the tracked files, and litter."""
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    for name in [*tracked(), *LITTER]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path / name)
        else:
            (tmp_path / name).touch()
    return tmp_path


def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def uploaded(folder: Path, ignore_file: str = ".gcloudignore") -> set[str]:
    """Ask gcloud; the flag --ignore-file of other commands names the file that stands in for .gcloudignore."""
    if ignore_file != ".gcloudignore":
        shutil.copy(folder / ignore_file, folder / ".gcloudignore")
    environment = os.environ | {"PATH": warm_path()}
    command = ["gcloud", "meta", "list-files-for-upload", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    return set(done.stdout.splitlines())


def test_the_source_of_the_functions_is_the_package_and_nothing_else(checkout: Path) -> None:
    files = uploaded(checkout)
    assert {"main.py", "requirements.txt", "token_refresh/settings.py"} <= files
    assert {name.split("/")[0] for name in files} <= SOURCE


def test_the_build_gets_all_that_its_steps_use_and_no_litter(checkout: Path) -> None:
    """`make test`, `make lint`, `make infra-check`, and the folder of the configuration."""
    files = uploaded(checkout, ".gcloudignore-build")
    assert {"Makefile", "pyproject.toml", "infra/examples/minimal/main.tf", "tests/requirements.txt"} <= files
    assert files == tracked() - {name for name in tracked() if name in LITTER}
