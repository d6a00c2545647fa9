"""What Terraform sets and what the functions read are the same variables with the same defaults."""

from __future__ import annotations

import dataclasses
import re

from tests.infra.plans import PROJECT, ROOT, Plan
from token_refresh.core.units import parse_durations
from token_refresh.settings import Settings, read_settings

# Read by the functions framework, not by us.
PLATFORM = {"THREADS", "LOG_EXECUTION_ID", "SOURCE_DATE_EPOCH"}
# For the local stack only.
LOCAL = {"SECRET_MANAGER_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"}


def settings_in_code() -> dict[str, object]:
    return {field.metadata["env"]: field.default for field in dataclasses.fields(Settings)}


def settings_variable() -> dict[str, str | None]:
    """Return the typed `settings` variable of the module: environment variable -> default."""
    block = re.search(r'variable "settings" \{(.*?)\n\}', (ROOT / "infra/variables.tf").read_text(), re.DOTALL)
    assert block
    found = re.findall(r"^    (\w+) += optional\((?:number|string)(?:, \"?([^)\"]+)\"?)?\)", block[1], re.MULTILINE)
    return {name.upper(): default or None for name, default in found}


def variables_set_by_terraform() -> set[str]:
    names = re.findall(r"\b([A-Z][A-Z0-9_]{4,}) *=[^=]", (ROOT / "infra/functions.tf").read_text())
    return set(names) | set(settings_variable())


def test_terraform_sets_every_variable_that_the_functions_read() -> None:
    assert variables_set_by_terraform() - PLATFORM == set(settings_in_code()) - LOCAL


def test_the_defaults_in_terraform_are_those_in_the_code() -> None:
    """Unset is unset in both; RUN_SECONDS and RUN_EVERY follow from the schedule."""
    given = {name: default for name, default in settings_variable().items() if default is not None}
    in_code = {
        name: default
        for name, default in settings_in_code().items()
        if default and isinstance(default, int | float | tuple)
    }
    assert {
        name: parse_durations(given[name]) if name == "CONSENT_WARNINGS" else float(given[name]) for name in given
    } == {name: default for name, default in in_code.items() if name != "RUN_EVERY"}


def test_the_functions_accept_the_environment_that_terraform_gives_them(plan: Plan) -> None:
    functions = plan.created("google_cloud_run_v2_service")
    assert functions
    for function in functions.values():
        environment = {
            variable["name"]: variable["value"] or "json://what-Secret-Manager-holds-long-enough-for-a-key"
            for variable in function["template"][0]["containers"][0]["env"]
        }
        settings = read_settings(environment)
        assert settings.project == PROJECT
        assert (settings.run_every, settings.run_seconds) == (300, 285)
        begun = settings.run_seconds + settings.lease_seconds
        if function["build_config"][0]["function_target"] == "refresh_http":
            assert float(function["template"][0]["timeout"].removesuffix("s")) > begun, (
                "cut off in the middle of an exchange"
            )
