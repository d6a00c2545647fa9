"""The README's gcloud recipes, run by the installed gcloud against a recorder of what it would send to Google."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.google_recorder import PROJECT_NUMBER, Request
from tests.infra.plans import ROOT, Plan
from tests.infra.recording import Recording
from token_refresh.settings import read_settings

# gcloud takes about half a second to start, some sixty times.
pytestmark = pytest.mark.timeout(450)

VARIANTS = ("gcloud-functions", "gcloud-run")
FUNCTIONS = {
    "token-refresh": "refresh",
    "token-refresh-http": "refresh_http",
    "token-refresh-consent": "consent",
    "token-refresh-notify": "notify",
    "token-refresh-status": "status",
}


def recipe(name: str) -> str:
    """Return a recipe of the README, between its markers."""
    found = re.search(
        rf"<!-- {name}:begin -->\n```sh\n(.*?)```\n<!-- {name}:end -->", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert found, f"README.md has no recipe {name}"
    return found[1]


@pytest.fixture(scope="module")
def preparation(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run the part that makes accounts, roles, topics and secrets."""
    return Recording(recipe("gcloud"), _folder(tmp_path_factory))


@pytest.fixture(scope="module", params=VARIANTS)
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run the part that deploys, by each of the two commands; of the other part only its names and functions."""
    names = [
        line
        for line in recipe("gcloud").splitlines()
        if re.match(r"export|PROJECT=|NUMBER=|\w+\(\) \{|accessor=", line)
    ]
    return Recording("\n".join([*names, recipe(request.param), recipe("gcloud-deploy")]), _folder(tmp_path_factory))


def _folder(factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    return factory.mktemp("checkout")


def grants(*recordings: Recording) -> set[tuple[str, str, str]]:
    """Return who is given which role on what, in the words of docs/security.md."""
    kinds = {
        "/CLOUDRESOURCEMANAGER/": "project",
        "-refresh-token:": "connection secrets",
        "-access-token:": "access-token secrets",
        "/oauth-client-google:": "client registrations",
        "/token-refresh-signing-key:": "signing key",
        "/token-refresh-notify-urls:": "notify URLs",
        "-dead-letters:": "dead-letter topics",
        "/topics/token-refresh-events:": "topic events",
        "/topics/token-refresh:": "topic refresh",
        "/subscriptions/": "push subscriptions",
        "/services/token-refresh:": "function refresh",
        "/services/token-refresh-http:": "function refresh_http",
        "/services/token-refresh-notify:": "function notify",
    }
    found = set()
    for request in (r for recording in recordings for r in recording.requests if r.path.endswith(":setIamPolicy")):
        on = next(kind for part, kind in kinds.items() if part in request.path)
        for binding in request.body["policy"]["bindings"]:
            for member in binding["members"]:
                who = re.sub(
                    r"^serviceAccount:(service-\d+@)?|@my-project\.iam.*|\.iam\.gserviceaccount\.com$", "", member
                )
                found.add((who, binding["role"].replace("projects/my-project/roles/", ""), on))
    return found


def test_gcloud_takes_every_command_of_the_preparation(preparation: Recording) -> None:
    assert not preparation.complaints


def test_gcloud_takes_every_command_of_the_deployment(deployment: Recording) -> None:
    # The recorder refuses to make a function, so that gcloud does not wait for one.
    assert len([line for line in deployment.complaints if "recorded" in line]) == len(FUNCTIONS)
    assert not [line for line in deployment.complaints if "recorded" not in line]


def test_the_recipes_grant_what_the_page_on_security_lists(preparation: Recording, deployment: Recording) -> None:
    text = (ROOT / "docs/security.md").read_text().split("<!-- iam:begin -->")[1].split("<!-- iam:end -->")[0]
    rows = [
        tuple(cell.strip(" `") for cell in line.split("|")[1:4]) for line in text.splitlines() if line.startswith("| `")
    ]
    # Left out: what builds the images, keys of one's own, IAP, and those that you name yourself.
    others = (
        r"token-refresh-build|consumers|operators|allUsers|gcf-admin-robot|.*cloudkms|.*-iap|.*service account push"
    )
    documented = {row for row in rows if not re.match(others, " ".join(row))}
    assert {grant for grant in grants(preparation, deployment) if grant[0] != "token-refresh-build"} == documented


def test_the_custom_roles_of_the_recipe_are_documented(preparation: Recording) -> None:
    text = (ROOT / "docs/security.md").read_text()
    roles = preparation.sent("POST", r"/roles$")
    assert roles
    for role in roles:
        permissions = ", ".join(f"`{permission}`" for permission in role.body["role"]["includedPermissions"])
        assert f"| `{role.body['roleId']}` | {permissions} |" in text


def test_no_payload_but_the_client_and_the_signing_key_is_stored(preparation: Recording) -> None:
    added = {re.sub(r".*/secrets/|:addVersion", "", r.path) for r in preparation.sent("POST", ":addVersion$")}
    assert added == {"oauth-client-google", "token-refresh-signing-key"}


def test_each_function_is_deployed_with_its_entry_point_its_account_and_an_environment_it_accepts(
    deployment: Recording,
) -> None:
    deployed = [_function(r) for r in deployment.sent("POST", r"/functions$")]
    targets = [r.body["buildpackBuild"]["functionTarget"] for r in deployment.sent("POST", ":submit$")]
    services = deployment.sent("POST", "/namespaces/my-project/services$")
    deployed += [_service(r, target) for r, target in zip(services, targets, strict=True)]
    assert {name: entry_point for name, entry_point, _, _ in deployed} == FUNCTIONS
    for name, _, account, environment in deployed:
        assert account == f"{name}@my-project.iam.gserviceaccount.com"
        assert environment["THREADS"] == "16"
        settings = read_settings(environment)
        assert settings.project == "my-project"
        assert bool(settings.consent_url) == (name != "token-refresh-notify")
        assert bool(settings.notify_urls.reveal()) == (name == "token-refresh-notify")


def test_subscriptions_and_jobs_are_those_that_terraform_makes(deployment: Recording) -> None:
    subscriptions = {r.path.rsplit("/", 1)[-1]: r.body for r in deployment.sent("PUT", "/subscriptions/")}
    push = {name: body for name, body in subscriptions.items() if "pushConfig" in body}
    assert set(push) == {"token-refresh", "token-refresh-secrets", "token-refresh-events-notify"}
    for body in push.values():
        assert body["ackDeadlineSeconds"] == 600
        assert body["deadLetterPolicy"]["maxDeliveryAttempts"] == 10
        assert body["expirationPolicy"] == {}
        token = body["pushConfig"]["oidcToken"]
        assert token["serviceAccountEmail"] == "token-refresh-push@my-project.iam.gserviceaccount.com"
        assert body["pushConfig"]["pushEndpoint"].startswith(token["audience"])
    assert push["token-refresh"]["filter"] == "NOT attributes:eventType"
    assert push["token-refresh-events-notify"]["pushConfig"]["noWrapper"] == {"writeMetadata": True}
    jobs = {r.body["name"].rsplit("/", 1)[-1]: r.body for r in deployment.sent("POST", "/jobs$")}
    assert {name: job["schedule"] for name, job in jobs.items()} == {
        "token-refresh": "*/5 * * * *",
        "token-refresh-clean": "17 3 * * *",
    }
    address = f"https://token-refresh-http-{PROJECT_NUMBER}.europe-west1.run.app"
    assert {job["httpTarget"]["oidcToken"]["audience"] for job in jobs.values()} == {address}


def test_the_request_log_of_the_consent_page_is_dropped_as_terraform_drops_it(
    plan: Plan, preparation: Recording
) -> None:
    (exclusion,) = plan.created("google_logging_project_exclusion").values()
    (update,) = [r for r in preparation.requests if r.method in ("PATCH", "PUT") and r.path.endswith("/sinks/_Default")]
    (sent,) = update.body["exclusions"]
    assert (sent["name"], sent["filter"]) == (exclusion["name"], exclusion["filter"])


def _function(request: Request) -> tuple[str, str, str, dict[str, str]]:
    config = request.body["serviceConfig"]
    secrets = {secret["key"]: "a value from Secret Manager" for secret in config["secretEnvironmentVariables"]}
    name = request.body["name"].rsplit("/", 1)[-1]
    return (
        name,
        request.body["buildConfig"]["entryPoint"],
        config["serviceAccountEmail"],
        config["environmentVariables"] | secrets,
    )


def _service(request: Request, entry_point: str) -> tuple[str, str, str, dict[str, str]]:
    spec: dict[str, Any] = request.body["spec"]["template"]["spec"]
    environment = {e["name"]: e.get("value", "a value from Secret Manager") for e in spec["containers"][0]["env"]}
    return request.body["metadata"]["name"], entry_point, spec["serviceAccountName"], environment


def test_the_service_account_and_the_state_bucket_of_cloud_build_are_made(tmp_path: Path) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    # Without --async gcloud would wait for the build's log.
    script = recipe("gcloud-build").replace("gcloud builds submit", "gcloud builds submit --async")
    shutil.copy(ROOT / "cloudbuild.yaml", tmp_path)
    recording = Recording(script, tmp_path)
    assert not recording.complaints
    assert len(recording.sent("POST", ":setIamPolicy$")) == 15
    (build,) = recording.sent("POST", "/builds$")
    assert build.body["substitutions"]["_DEPLOY"] == "true"
    assert [step["id"] for step in build.body["steps"]][-2:] == ["build", "deploy"]
    assert build.body["serviceAccount"].endswith("@$PROJECT_ID.iam.gserviceaccount.com")
