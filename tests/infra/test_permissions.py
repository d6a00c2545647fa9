"""Least privilege, in both directions: what the code calls is granted, and nothing else is."""

from __future__ import annotations

import ast
import json
import re

from tests.infra.plans import PROJECT, ROOT, Plan

# What each RPC asks for: https://cloud.google.com/secret-manager/docs/access-control
PERMISSION_OF_RPC = {
    "list_secrets": "secretmanager.secrets.list",
    "get_secret": "secretmanager.secrets.get",
    "update_secret": "secretmanager.secrets.update",
    "access_secret_version": "secretmanager.versions.access",
    "add_secret_version": "secretmanager.versions.add",
    "destroy_secret_version": "secretmanager.versions.destroy",
    "get_secret_version": "secretmanager.versions.get",
    "list_secret_versions": "secretmanager.versions.list",
    "publish": "pubsub.topics.publish",
}

# The predefined roles in use. Reading a project's name comes with all of Secret Manager's and is left out.
PREDEFINED_ROLES = {
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/secretmanager.secretVersionAdder": {"secretmanager.versions.add"},
    "roles/pubsub.publisher": {"pubsub.topics.publish"},
}

_REFRESH = {
    "project": {"list_secrets", "get_secret"},
    "connection secrets": {
        "access_secret_version",
        "add_secret_version",
        "destroy_secret_version",
        "update_secret",
        "get_secret_version",
        "list_secret_versions",
    },
    "access-token secrets": {
        "access_secret_version",
        "add_secret_version",
        "destroy_secret_version",
        "get_secret_version",
        "list_secret_versions",
    },
    "client registrations": {"access_secret_version"},
    "signing key": {"access_secret_version"},
    "topic events": {"publish"},
}

# Service account -> on what -> the RPCs that its function makes, or Cloud Run for it (signing key, notify URLs).
USES: dict[str, dict[str, set[str]]] = {
    "token-refresh-http": _REFRESH,
    "token-refresh-consent": {
        "connection secrets": {"get_secret", "access_secret_version", "add_secret_version", "update_secret"},
        # An access that finds nothing, or is denied, asks whether the secret is there.
        "client registrations": {"get_secret", "access_secret_version"},
        # The page after a consent says when the first token has come.
        "access-token secrets": {"list_secret_versions"},
        "signing key": {"access_secret_version"},
        "topic events": {"publish"},
        "topic refresh": {"publish"},
    },
    "token-refresh-notify": {
        "connection secrets": {"get_secret"},
        "notify URLs": {"access_secret_version"},
    },
    "token-refresh-status": {
        "project": {"list_secrets", "get_secret"},
        "connection secrets": {"list_secret_versions"},
        "access-token secrets": {"access_secret_version", "list_secret_versions"},
        "signing key": {"access_secret_version"},
        "topic refresh": {"publish"},
    },
    # It asks with its caller's own token.
    "token-refresh-token": {},
    "token-refresh-risc": {"topic refresh": {"publish"}},
}
ALWAYS = {"token-refresh-http", "token-refresh-consent", "token-refresh-status"}


def granted(plan: Plan, account: str) -> dict[str, set[str]]:
    """Return the permissions of a service account by what they are on, its roles taken apart."""
    custom = {
        f"projects/{PROJECT}/roles/{role['role_id']}": set(role["permissions"])
        for role in plan.created("google_project_iam_custom_role").values()
    }
    permissions: dict[str, set[str]] = {}
    for grant in plan.output("iam"):
        if grant.get("member") == f"serviceAccount:{account}@{PROJECT}.iam.gserviceaccount.com":
            permissions.setdefault(grant["on"], set()).update((custom | PREDEFINED_ROLES)[grant["role"]])
    return permissions


def test_every_function_may_do_what_it_does_and_nothing_else(plan: Plan) -> None:
    accounts = {
        function["template"][0]["service_account"].split("@")[0]
        for function in plan.created("google_cloud_run_v2_service").values()
    }
    assert ALWAYS <= accounts <= set(USES)
    for account in accounts:
        used = {on: {PERMISSION_OF_RPC[rpc] for rpc in rpcs} for on, rpcs in USES[account].items()}
        assert granted(plan, account) == used, account


def test_the_list_of_calls_is_the_code_s() -> None:
    """Every call that an adapter makes on a Google client, found in its source."""
    calls: set[str] = set()
    for name in ("secret_manager", "pubsub"):
        tree = ast.parse((ROOT / f"token_refresh/adapters/{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self._client", "client"):
                calls.add(node.attr)
    assert calls - {"resume_publish"} == set(PERMISSION_OF_RPC)
    assert {rpc for uses in USES.values() for rpcs in uses.values() for rpc in rpcs} == set(PERMISSION_OF_RPC)


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
