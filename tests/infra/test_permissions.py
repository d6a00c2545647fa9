"""Least privilege, in both directions: what the running functions call is granted, and nothing else is."""

from __future__ import annotations

import json
import re

from tests.infra.plans import PROJECT, ROOT, Plan
from tests.infra.recorded_calls import FUNCTIONS, recorded_calls

_SECRET_MANAGER = "/google.cloud.secretmanager.v1.SecretManagerService/"
# What each method asks for: https://cloud.google.com/secret-manager/docs/access-control and
# https://cloud.google.com/pubsub/docs/access-control
PERMISSION_OF_METHOD = {
    f"{_SECRET_MANAGER}ListSecrets": "secretmanager.secrets.list",
    f"{_SECRET_MANAGER}GetSecret": "secretmanager.secrets.get",
    f"{_SECRET_MANAGER}UpdateSecret": "secretmanager.secrets.update",
    f"{_SECRET_MANAGER}AccessSecretVersion": "secretmanager.versions.access",
    f"{_SECRET_MANAGER}AddSecretVersion": "secretmanager.versions.add",
    f"{_SECRET_MANAGER}DestroySecretVersion": "secretmanager.versions.destroy",
    f"{_SECRET_MANAGER}GetSecretVersion": "secretmanager.versions.get",
    f"{_SECRET_MANAGER}ListSecretVersions": "secretmanager.versions.list",
    "/google.pubsub.v1.Publisher/Publish": "pubsub.topics.publish",
}

# The predefined roles in use. Reading a project's name comes with all of Secret Manager's and is left out.
PREDEFINED_ROLES = {
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/secretmanager.secretVersionAdder": {"secretmanager.versions.add"},
    "roles/pubsub.publisher": {"pubsub.topics.publish"},
}

# Cloud Run reads these for a function, as its account.
ON_OF_VARIABLE = {"CONSENT_SIGNING_KEY": "signing key", "NOTIFY_URLS": "notify URLs"}
ALWAYS = {"refresh_http", "consent", "status"}

Grants = set[tuple[str, str]]  # on what, which permission


def granted(plan: Plan, account: str) -> Grants:
    """Return the permissions of a service account by what they are on, its roles taken apart."""
    custom = {
        f"projects/{PROJECT}/roles/{role['role_id']}": set(role["permissions"])
        for role in plan.created("google_project_iam_custom_role").values()
    }
    return {
        (grant["on"], permission)
        for grant in plan.output("iam")
        if grant.get("member") == f"serviceAccount:{account}"
        for permission in (custom | PREDEFINED_ROLES)[grant["role"]]
    }


def needed(function: str, variables: set[str], by_project: set[str]) -> Grants:
    """Return what a function's calls ask for; what the project grants is asked of the project, and nowhere else."""
    called = {
        (call.on, PERMISSION_OF_METHOD[call.method])
        for call in recorded_calls()
        if call.function == function and not call.with_a_callers_token
    }
    read_by_run = {(on, "secretmanager.versions.access") for name, on in ON_OF_VARIABLE.items() if name in variables}
    return {("project" if permission in by_project else on, permission) for on, permission in called | read_by_run}


def functions_of(plan: Plan) -> dict[str, tuple[str, set[str]]]:
    """Return the functions of a plan: their account, and the variables that Cloud Run takes from secrets."""
    functions = {}
    for service in plan.created("google_cloud_run_v2_service").values():
        template = service["template"][0]
        secret = {env["name"] for env in template["containers"][0]["env"] if env["value_source"]}
        functions[service["build_config"][0]["function_target"]] = (template["service_account"], secret)
    return functions


def test_every_function_may_do_what_it_does_and_nothing_else(plan: Plan) -> None:
    """Missing: the function would fail. Unused: whoever takes it over could do more than it ever does."""
    functions = functions_of(plan)
    assert set(functions) >= ALWAYS
    for function, (account, variables) in functions.items():
        grants = granted(plan, account)
        by_project = {permission for on, permission in grants if on == "project"}
        needs = needed(function, variables, by_project)
        assert {"missing": needs - grants, "unused": grants - needs} == {"missing": set(), "unused": set()}, function


def test_every_function_is_recorded_and_planned(plan: Plan) -> None:
    assert {call.function for call in recorded_calls()} == set(FUNCTIONS)
    assert set(functions_of(plan)) <= set(FUNCTIONS)


def test_token_asks_with_its_callers_tokens_only() -> None:
    shown = {(call.function, call.with_a_callers_token) for call in recorded_calls()}
    assert ("token", True) in shown
    assert ("token", False) not in shown
    assert {function for function, with_a_callers_token in shown if with_a_callers_token} == {"token"}


def test_only_what_is_named_by_a_secret_s_variable_is_read_by_cloud_run(plan: Plan) -> None:
    named = set().union(*(variables for _, variables in functions_of(plan).values()))
    assert named <= set(ON_OF_VARIABLE)


def test_the_output_iam_leaves_no_grant_out(plan: Plan) -> None:
    in_resources = set()
    for address, values in plan.created().items():
        # A connection declared on its own is not the deployment's.
        if not address.startswith("module.token_refresh.") or not re.search(r"_iam_(member|binding|policy)\.", address):
            continue
        if "policy_data" in values:
            bindings = json.loads(values["policy_data"])["bindings"]
            in_resources |= {(binding["role"], member) for binding in bindings for member in binding["members"]}
        else:
            members = values.get("members") or [values.get("member", "known after apply")]
            in_resources |= {(values["role"], member) for member in members}
    assert {(grant["role"], grant.get("member", "known after apply")) for grant in plan.output("iam")} == in_resources


def test_a_connection_is_four_resources(plan: Plan) -> None:
    of_alice = [address for address in plan.created() if 'module.connection["gmail-alice"]' in address]
    assert len(of_alice) == 4


def test_what_is_made_by_others_keeps_its_own_policy(cmek: Plan) -> None:
    """On topics, bucket and repository that were brought along grants are added, nothing is bound or replaced."""
    theirs = ("refresh-requests", "integration-events", "-sources", "functions")
    for address, values in cmek.created().items():
        on = str(values.get("topic") or values.get("bucket") or values.get("repository") or "")
        if on.endswith(theirs) and "_iam_" in address:
            assert "_iam_member." in address, address


def test_nobody_gets_a_basic_or_administrative_role(plan: Plan) -> None:
    roles = {grant["role"] for grant in plan.output("iam")}
    assert not [
        role for role in roles if re.search(r"owner|editor|viewer$|[aA]dmin", role) and "objectViewer" not in role
    ]


def test_the_custom_roles_are_those_of_the_page_on_security(plan: Plan) -> None:
    text = (ROOT / "docs/security.md").read_text().split("<!-- roles:begin -->")[1].split("<!-- roles:end -->")[0]
    documented = {cells[0]: set(cells[1:]) for line in text.splitlines() if (cells := re.findall(r"`([\w.]+)`", line))}
    roles = plan.created("google_project_iam_custom_role").values()
    assert {role["role_id"]: set(role["permissions"]) for role in roles} == documented
