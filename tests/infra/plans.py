"""Plans of the example configurations, as Terraform itself reports them."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = ROOT.parent / "shared" / "terraform-offline" / "terraform-offline"
TERRAFORM = (sys.executable, str(OFFLINE))  # what `env python3` finds may be a script that looks for the right one
PROJECT = "example-project"
EXAMPLES = ("minimal", "complete", "cmek", "shards")
# Go's collector would take a third of a plan's time: the schema of a provider is large, and is kept to the end.
QUICKLY = {"CHECKPOINT_DISABLE": "1", "GOGC": "400"}
SHARDS = {"first": "shard-project-one", "second": "shard-project-two"}


class Plan:
    """The plan of `infra/examples/NAME` for `PROJECT`, made with the stand-in provider."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def output(self, name: str) -> Any:
        """Return an output of the module."""
        return self.document["output_changes"]["token_refresh"]["after"][name]

    def created(self, *resource_types: str) -> dict[str, dict[str, Any]]:
        """Return the values of the resources to create by address; of all types when none is named."""
        return {
            change["address"]: change["change"]["after"]
            for change in self.document["resource_changes"]
            if change["change"]["actions"] == ["create"] and (not resource_types or change["type"] in resource_types)
        }


@functools.cache
def checkout() -> Path:
    """Lay out what Terraform reads of this repository; each file that functions are made of holds but its name.

    Terraform takes four seconds of five to carry their text from expression to expression, in each plan. That it could
    read them is seen here: its `file()` takes UTF-8 and nothing else. `infra/check` plans over the files themselves.
    """
    folder = Path(tempfile.mkdtemp(prefix="plans-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ours = shutil.ignore_patterns(".terraform*", "*.tfstate*", "__pycache__", "local")
    for name in ("infra", "tests/infra/trial"):
        shutil.copytree(ROOT / name, folder / name, ignore=ours)
    (folder / "docs").symlink_to(ROOT / "docs")  # alerts quote the runbook
    (folder / ".git").mkdir()  # the stand-in looks for the top of a repository
    package = [file for file in (ROOT / "token_refresh").rglob("*") if file.is_file()]
    for file in (ROOT / "main.py", ROOT / "requirements.txt", *package):
        if "__pycache__" in file.parts:
            continue
        file.read_text(encoding="utf-8")
        there = folder / file.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(there.name, encoding="utf-8")
    return folder


@functools.cache
def make_plan(example: str) -> Plan:
    """Plan an example; raises `RuntimeError` with what Terraform said."""
    variable = f"projects={json.dumps(SHARDS)}" if example == "shards" else f"project_id={PROJECT}"
    return Plan(plan(checkout() / "infra" / "examples" / example, f"-var={variable}"))


@functools.cache
def plan_trial(state: Path, variables: str) -> dict[str, Any]:
    """Plan `trial/` with variables (a JSON object) over a state; raises `RuntimeError` with what Terraform said."""
    values = [f"-var={name}={json.dumps(value)}" for name, value in json.loads(variables).items()]
    return plan(checkout() / "tests" / "infra" / "trial", f"-state={state}", *values)


def plan(configuration: Path, *options: str) -> dict[str, Any]:
    """Plan a configuration, as Terraform shows it; raises `RuntimeError` with what Terraform said."""
    folder, data = f"-chdir={configuration}", str(configuration / ".terraform")
    if not (configuration / ".terraform").exists():
        _terraform(data, folder, "init", "-backend=false", "-input=false")
    with tempfile.TemporaryDirectory() as temporary:
        out = f"{temporary}/plan"
        _terraform(data, folder, "plan", "-input=false", f"-out={out}", *options)
        document: dict[str, Any] = json.loads(_terraform(data, folder, "show", "-json", out))
        return document


def resource_table() -> str:
    """Write the table of planned resources that infra/README.md shows."""
    counts = [Counter(_type(address) for address in make_plan(example).created()) for example in EXAMPLES]
    rows = [["resource", *(f"`{example}`" for example in EXAMPLES)], ["---", *["---:"] * len(EXAMPLES)]]
    kinds = sorted(set().union(*counts))
    rows += [[f"`{kind}`", *(str(count[kind] or "") for count in counts)] for kind in kinds]
    rows.append(["all", *(f"**{count.total()}**" for count in counts)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _type(address: str) -> str:
    return re.sub(r"module\.[a-z_]+(\[[^]]*\])?\.", "", address).split(".")[0]


def _terraform(data: str, *arguments: str) -> str:
    environment = os.environ | QUICKLY | {"TF_DATA_DIR": data}
    done = subprocess.run(
        [*TERRAFORM, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    print(resource_table())  # noqa: T201 - a command
