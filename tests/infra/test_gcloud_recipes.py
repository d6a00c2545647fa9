"""The recipes of docs/deploy-gcloud.md, run by the installed gcloud against a recorder of what it would send."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.infra.gcloud_recipes import each, grants, names_of_the_preparation, recipe, shape_of
from tests.infra.google_recorder import PROJECT_NUMBER
from tests.infra.plans import ROOT, Plan
from tests.infra.recording import Recording
from token_refresh.settings import read_settings

# gcloud takes about half a second to start, some sixty times.
pytestmark = pytest.mark.timeout(450)
FUNCTIONS = {
    "token-refresh-http": "refresh_http",
    "token-refresh-consent": "consent",
    "token-refresh-notify": "notify",
    "token-refresh-status": "status",
}
# IAM needs a minute; the recorder does not.
NO_WAITING = "sleep() { :; }\n"


@pytest.fixture(scope="module")
def preparation(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run the part that makes accounts, roles, topics and secrets."""
    return Recording(NO_WAITING + recipe("gcloud"), _folder(tmp_path_factory))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run the part that deploys; of the other part only its names and functions."""
    return Recording(NO_WAITING + names_of_the_preparation() + recipe("gcloud-deploy"), _folder(tmp_path_factory))


def _folder(factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    folder = factory.mktemp("checkout")
    (folder / "infra").mkdir()
    shutil.copy(ROOT / "infra/event.proto", folder / "infra/event.proto")
    return folder


def test_gcloud_takes_every_command_of_the_preparation(preparation: Recording) -> None:
    assert not preparation.complaints


def test_gcloud_takes_every_command_of_the_deployment(deployment: Recording) -> None:
    # The recorder refuses to make a function, so that gcloud does not wait for one.
    assert len([line for line in deployment.complaints if "recorded" in line]) == len(FUNCTIONS)
    assert not [line for line in deployment.complaints if "recorded" not in line]


def test_gcloud_takes_the_commands_for_the_token_function(tmp_path_factory: pytest.TempPathFactory) -> None:
    deploy = re.search(r"deploy\(\) \{.*?^}$", recipe("gcloud-deploy"), re.MULTILINE | re.DOTALL)
    assert deploy
    script = names_of_the_preparation() + deploy[0] + "\n" + recipe("gcloud-token")
    recording = Recording(script, _folder(tmp_path_factory))
    (service,) = recording.sent("POST", "/namespaces/my-project/services$")
    assert service.body["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"] == "True"
    assert not [line for line in recording.complaints if "recorded" not in line]


def test_gcloud_takes_the_first_commands_after_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    stub = 'gcloud() { case "$*" in *"services proxy"*) ;; *) command gcloud "$@" ;; esac; }\n'
    folder = _folder(tmp_path_factory)
    (folder / "grant.json").write_text("{}")
    recording = Recording(stub + names_of_the_preparation() + recipe("gcloud-first"), folder)
    assert not recording.complaints
    assert recording.sent("POST", ":addVersion$")


def test_the_recipes_survive_zsh() -> None:
    """Unquoted variables are not split there: one of several words is quoted. Comments need an option."""
    script = recipe("gcloud") + recipe("gcloud-deploy")
    assert script.splitlines()[0].startswith("setopt interactivecomments 2>/dev/null")
    of_several_words = {
        name for name, value in re.findall(r"^(\w+)=(.*)$", script, re.MULTILINE) if " " in value.split(" #")[0]
    }
    of_several_words -= {"NUMBER", "accessor"}  # a command, two assignments
    assert of_several_words == {"of_consent"}
    assert script.count("$of_consent") == script.count(' $of_consent"') == 1


def test_the_recipes_grant_what_the_page_on_security_lists(preparation: Recording, deployment: Recording) -> None:
    text = (ROOT / "docs/security.md").read_text().split("<!-- iam:begin -->")[1].split("<!-- iam:end -->")[0]
    rows = [
        tuple(cell.strip(" `") for cell in line.split("|")[1:4]) for line in text.splitlines() if line.startswith("| `")
    ]
    # Left out: what builds the images, keys of one's own, IAP, options, and those that you name yourself.
    others = r"token-refresh-(build|risc)|consumers|operators|.*cloudkms|.*-iap|.*topic access tokens"
    documented = {row for row in rows if not re.match(others, " ".join(row))}
    assert {grant for grant in grants(preparation, deployment) if grant[0] != "token-refresh-build"} == documented


def test_only_the_page_that_owners_open_is_public(deployment: Recording) -> None:
    """By a switched-off check: a binding of allUsers is refused under domain restricted sharing."""
    services = deployment.sent("POST", "/namespaces/my-project/services$")
    open_to_all = {
        service.body["metadata"]["name"]
        for service in services
        if service.body["metadata"]["annotations"].get("run.googleapis.com/invoker-iam-disabled") == "True"
    }
    assert open_to_all == {"token-refresh-consent"}
    policies = json.dumps([r.body for r in deployment.requests if r.path.endswith(":setIamPolicy")])
    assert "allUsers" not in policies


def test_the_custom_roles_of_the_recipe_are_documented(preparation: Recording) -> None:
    text = (ROOT / "docs/security.md").read_text()
    roles = preparation.sent("POST", r"/roles$")
    assert roles
    for role in roles:
        permissions = ", ".join(f"`{permission}`" for permission in role.body["role"]["includedPermissions"])
        assert f"| `{role.body['roleId']}` | {permissions} |" in text


def test_no_payload_but_what_is_asked_for_is_stored(preparation: Recording) -> None:
    added = {re.sub(r".*/secrets/|:addVersion", "", r.path) for r in preparation.sent("POST", ":addVersion$")}
    assert added == {"oauth-client-google", "token-refresh-signing-key", "token-refresh-notify-urls"}


def test_each_function_is_deployed_as_terraform_deploys_it(plan: Plan, deployment: Recording) -> None:
    targets = [r.body["buildpackBuild"]["functionTarget"] for r in deployment.sent("POST", ":submit$")]
    services = deployment.sent("POST", "/namespaces/my-project/services$")
    deployed = {
        service.body["metadata"]["name"]: shape_of(service, target)
        for service, target in zip(services, targets, strict=True)
    }
    assert {name: shape["target"] for name, shape in deployed.items()} == FUNCTIONS
    for function in plan.created("google_cloud_run_v2_service").values():
        template, name = function["template"][0], function["name"]
        if name not in deployed:
            continue
        assert deployed[name]["instances"] == template["scaling"][0]["max_instance_count"], name
        assert deployed[name]["timeout"] == template["timeout"].removesuffix("s"), name
        assert deployed[name]["memory"] == template["containers"][0]["resources"][0]["limits"]["memory"], name
        assert deployed[name]["is_internal"] == (function["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"), name
    for name, shape in deployed.items():
        assert shape["account"] == f"{name}@my-project.iam.gserviceaccount.com"
        settings = read_settings(shape["environment"])
        assert settings.project == "my-project"
        assert settings.run_every == 300
        assert settings.consent_url.endswith(f"token-refresh-consent-{PROJECT_NUMBER}.europe-west1.run.app")
        assert bool(settings.notify_urls.reveal()) == (name == "token-refresh-notify")


def test_subscriptions_and_jobs_are_those_that_terraform_makes(plan: Plan, deployment: Recording) -> None:
    subscriptions = {r.path.rsplit("/", 1)[-1]: r.body for r in deployment.sent("PUT", "/subscriptions/")}
    planned = {values["name"]: values for values in plan.created("google_pubsub_subscription").values()}
    assert (
        set(planned)
        <= set(subscriptions)
        == {
            "token-refresh",
            "token-refresh-events-notify",
            "token-refresh-events-notify-late",
            "token-refresh-dead-letters",
            "token-refresh-events-dead-letters",
        }
    )
    for name, values in planned.items():
        body = subscriptions[name]
        assert (body.get("filter") or None) == values["filter"], name
        assert body["messageRetentionDuration"] == values["message_retention_duration"], name
        assert body["expirationPolicy"] == {}
        if not values["push_config"]:
            continue
        assert body["ackDeadlineSeconds"] == values["ack_deadline_seconds"]
        attempts = [letters["max_delivery_attempts"] for letters in values["dead_letter_policy"]]
        said = body.get("deadLetterPolicy")
        assert ([said["maxDeliveryAttempts"]] if said else []) == attempts
        token = body["pushConfig"]["oidcToken"]
        assert token["serviceAccountEmail"] == "token-refresh-push@my-project.iam.gserviceaccount.com"
        assert body["pushConfig"]["pushEndpoint"] == token["audience"]
        is_unwrapped = bool(values["push_config"][0]["no_wrapper"])
        assert ("noWrapper" in body["pushConfig"]) == is_unwrapped
    jobs = {r.body["name"].rsplit("/", 1)[-1]: r.body for r in deployment.sent("POST", "/jobs$")}
    schedules = {values["name"]: values["schedule"] for values in plan.created("google_cloud_scheduler_job").values()}
    assert {name: job["schedule"] for name, job in jobs.items()} == schedules
    address = f"https://token-refresh-http-{PROJECT_NUMBER}.europe-west1.run.app"
    assert {job["httpTarget"]["oidcToken"]["audience"] for job in jobs.values()} == {address}


def test_the_request_log_of_the_consent_page_is_dropped_as_terraform_drops_it(
    plan: Plan, preparation: Recording
) -> None:
    (exclusion,) = plan.created("google_logging_project_exclusion").values()
    (update,) = [r for r in preparation.requests if r.method in ("PATCH", "PUT") and r.path.endswith("/sinks/_Default")]
    (sent,) = update.body["exclusions"]
    assert (sent["name"], sent["filter"]) == (exclusion["name"], exclusion["filter"])


def test_the_service_account_and_the_state_bucket_of_cloud_build_are_made(tmp_path: Path) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    # Without --async gcloud would wait for the build's log.
    script = NO_WAITING + recipe("gcloud-build").replace("gcloud builds submit", "gcloud builds submit --async")
    shutil.copy(ROOT / ".gcloudignore-build", tmp_path)
    (tmp_path / ".gitignore").write_text("")
    shutil.copy(ROOT / "cloudbuild.yaml", tmp_path)
    recording = Recording(script, tmp_path)
    assert not recording.complaints
    assert len(recording.sent("POST", ":setIamPolicy$")) == 15
    (build,) = recording.sent("POST", "/builds$")
    assert build.body["substitutions"]["_DEPLOY"] == "true"
    assert [step["id"] for step in build.body["steps"]][-2:] == ["build", "deploy"]
    assert build.body["serviceAccount"].endswith("@$PROJECT_ID.iam.gserviceaccount.com")


def test_what_gcloud_made_is_imported_by_addresses_that_terraform_plans(
    plan: Plan, preparation: Recording, deployment: Recording
) -> None:
    blocks = re.findall(r"import \{\n(.*?)\n\}", recipe("import"), re.DOTALL)
    assert len(blocks) > 10
    ids = set()
    addresses = set()
    for block in blocks:
        target = re.search(r"^  to +?= (.*)$", block, re.MULTILINE)
        name = re.search(r'^  id +?= "(.*)"$', block, re.MULTILINE)
        assert target, block
        assert name, block
        for key, value in each(block):
            entry = "refresh_http" if key == "http" else key
            address = re.sub(r'each\.key == "http" \? "refresh_http" : each\.key|each\.key', f'"{entry}"', target[1])
            addresses.add(address)
            ids.add(
                name[1]
                .replace("${var.project_id}", "my-project")
                .replace("${each.key}", key)
                .replace("${each.value}", value)
            )
    # `complete` keeps its secrets in a region; names of the rest are the same.
    planned = {
        re.sub(r"google_secret_manager_regional_secret", "google_secret_manager_secret", a) for a in plan.created()
    }
    missing = addresses - planned
    assert not {address for address in missing if "notify" not in address}
    made = " ".join(f"{r.path} {r.query} {json.dumps(r.body)}" for r in [*preparation.requests, *deployment.requests])
    assert not [
        name for name in ids if re.sub(r".*/(?!versions)|@.*", "", name.removesuffix("/versions/1")) not in made
    ]
