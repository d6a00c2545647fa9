"""What Terraform sets and what the functions read are the same variables with the same defaults."""

from __future__ import annotations

import dataclasses
import re

from tests.infra.plans import PROJECT, ROOT, Plan
from token_refresh.settings import Settings, read_settings

# Read by the functions framework, not by us.
PLATFORM = {"THREADS", "LOG_EXECUTION_ID"}
# For the local stack only.
LOCAL = {"SECRET_MANAGER_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"}


def settings_in_code() -> dict[str, object]:
    return {field.metadata["env"]: field.default for field in dataclasses.fields(Settings)}


def settings_variable() -> dict[str, float]:
    """Return the typed `settings` variable of the module: environment variable -> default."""
    block = re.search(r'variable "settings" \{(.*?)\n\}', (ROOT / "infra/variables.tf").read_text(), re.DOTALL)
    assert block
    found = re.findall(r"(\w+)\s*=\s*optional\(number, ([\d.]+)\)", block[1])
    return {name.upper(): float(default) for name, default in found}


def variables_set_by_terraform() -> set[str]:
    names = re.findall(r"\b([A-Z][A-Z0-9_]{4,}) *=[^=]", (ROOT / "infra/functions.tf").read_text())
    return set(names) | set(settings_variable())


def test_terraform_sets_every_variable_that_the_functions_read() -> None:
    assert variables_set_by_terraform() - PLATFORM == set(settings_in_code()) - LOCAL


def test_the_defaults_in_terraform_are_those_in_the_code() -> None:
    in_code = {name: default for name, default in settings_in_code().items() if isinstance(default, int | float)}
    assert settings_variable() == in_code


def test_the_functions_accept_the_environment_that_terraform_gives_them(plan: Plan) -> None:
    functions = plan.created("google_cloudfunctions2_function")
    assert functions
    for function in functions.values():
        config = function["service_config"][0]
        secrets = {secret["key"]: "a value from Secret Manager" for secret in config["secret_environment_variables"]}
        assert read_settings(config["environment_variables"] | secrets).project == PROJECT
