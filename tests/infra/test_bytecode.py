"""What a cold start compiles in the image that Google's builder makes of the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.plans import ROOT, make_plan

pytestmark = pytest.mark.timeout(600)  # two plans may be made for the first of these
NORMALIZED = 315532801  # 1980-01-01: what Cloud Native Buildpacks set the time of all files in an image to
COUNT = """\
import sys
compiled = set()
sys.addaudithook(lambda event, args: event == "compile" and compiled.add(str(args[1])))
import main
print(sum("{source}" in name for name in compiled))
"""


@pytest.fixture
def environment(terraform: None) -> dict[str, str]:  # noqa: ARG001 - skips
    """Return the build's environment as Terraform gives it: the same to every function of every deployment."""
    functions = [make_plan(name).created("google_cloud_run_v2_service") for name in ("minimal", "complete")]
    built = [function["build_config"][0] for made in functions for function in made.values()]
    environments = [build["environment_variables"] for build in built]
    assert len({tuple(sorted(environment.items())) for environment in environments}) == 1
    return dict(environments[0])


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_cold_start_compiles_nothing_of_the_source(
    tmp_path: Path, environment: dict[str, str], *, is_ours: bool
) -> None:
    """The second case shows that the first one is no matter of course."""
    source = tmp_path / "workspace"
    shutil.copytree(ROOT / "token_refresh", source / "token_refresh", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "main.py", source)
    plain = {k: v for k, v in os.environ.items() if k not in ("PYTHONPYCACHEPREFIX", "SOURCE_DATE_EPOCH")}
    # https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/python/functions_framework/lib/lib.go
    compileall = [sys.executable, "-m", "compileall", "-f", "-q", "."]
    subprocess.run(compileall, cwd=source, env=plain | (environment if is_ours else {}), timeout=60, check=True)
    for path in source.rglob("*"):
        os.utime(path, (NORMALIZED, NORMALIZED))
    command = [sys.executable, "-c", COUNT.format(source=source)]
    plain |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "."}
    done = subprocess.run(command, cwd=source, env=plain, capture_output=True, text=True, timeout=60, check=True)
    assert (int(done.stdout) == 0) is is_ours


def test_gcloud_builds_with_the_same(environment: dict[str, str]) -> None:
    recipe = (ROOT / "docs/deploy-gcloud.md").read_text()
    for name, value in environment.items():
        assert f"--set-build-env-vars={name}={value} " in recipe
