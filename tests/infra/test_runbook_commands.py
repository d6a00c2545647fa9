"""Every gcloud command of the pages for operators is one that the installed gcloud takes.

And operators may do what the runbook asks of them: each request that its commands make is held against their roles.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.infra.google_recorder import Request
from tests.infra.plans import ROOT, Plan, make_plan
from tests.infra.recording import Recording
from token_refresh.settings import Settings

pytestmark = pytest.mark.timeout(450)

# In place of what is not gcloud, of a command that would not end, of waiting, and of those that ask for an account.
STUBS = """
curl() { :; }
jq() {
  case "$*" in
    *.token_url) echo https://token.example.com/token ;;
    *) echo key=value ;;
  esac
}
sleep() { :; }
git() { :; }
terraform() { :; }
pipx() { :; }
make() { command make -n -C "$ROOT" "$@" >/dev/null || echo "ERROR: make $*" >&2; }
token-refresh() { PYTHONPATH=$ROOT "$PYTHON" -m token_refresh.cli "$@"; }
gcloud() {
  case "$*" in
    *"services proxy"*|"auth login"|"auth application-default login") ;;
    *print-identity-token) echo token ;;
    *) command gcloud "$@" ;;
  esac
}
"""
NAMES = f"""
PROJECT=my-project REGION=europe-west1 CONNECTION=gmail-alice NEW=other-project SERVICE=token-refresh-http
REFRESH_TOKEN=1//x TOKEN_URL=https://token.example.com/token ROOT={ROOT} PYTHON={sys.executable}
mkdir -p token-refresh/infra/examples/minimal && cp client_secret.json token-refresh/infra/examples/minimal
"""

# What each request asks for (cloud.google.com/iam/docs/permissions-reference); where operators hold it, if not in the
# project. Looking up the project's own number comes with any command.
PERMISSIONS: list[tuple[str, str, str, str | None]] = [
    ("GET", r"/CLOUDRESOURCEMANAGER/v1/projects/[^/:]+$", "resourcemanager.projects.get", None),
    ("POST", r"/projects/[^/]+:getIamPolicy$", "resourcemanager.projects.getIamPolicy", None),
    ("GET", r"/RUN/.*/services/[^/:]+$", "run.services.get", None),
    ("GET", r"/RUN/.*/services$", "run.services.list", None),
    ("GET", r"/RUN/.*/revisions", "run.revisions.list", None),
    ("POST", r"/LOGGING/v2/entries:list$", "logging.logEntries.list", None),
    ("GET", r"/CLOUDSCHEDULER/.*/jobs/[^/:]+$", "cloudscheduler.jobs.get", None),
    ("POST", r"/CLOUDSCHEDULER/.*/jobs/[^/]+:run$", "cloudscheduler.jobs.run", None),
    ("POST", r"/CLOUDSCHEDULER/.*/jobs/[^/]+:pause$", "cloudscheduler.jobs.pause", None),
    ("POST", r"/CLOUDSCHEDULER/.*/jobs/[^/]+:resume$", "cloudscheduler.jobs.enable", None),
    ("GET", r"/SECRETMANAGER/.*/secrets/[^/:]+$", "secretmanager.secrets.get", None),
    ("GET", r"/SECRETMANAGER/.*/secrets/[^/:]+:getIamPolicy$", "secretmanager.secrets.getIamPolicy", None),
    ("GET", r"/SECRETMANAGER/.*/versions$", "secretmanager.versions.list", None),
    ("PATCH", r"/SECRETMANAGER/.*-refresh-token$", "secretmanager.secrets.update", "connection secrets"),
    ("POST", r"/SECRETMANAGER/.*-refresh-token:addVersion$", "secretmanager.versions.add", "connection secrets"),
    ("POST", r"/SECRETMANAGER/.*oauth-client-[^/]+:addVersion$", "secretmanager.versions.add", "client registrations"),
    ("POST", r"/SECRETMANAGER/.*notify-urls:addVersion$", "secretmanager.versions.add", "notify URLs"),
    ("POST", r"/PUBSUB/.*-dead-letters:(pull|seek)$", "pubsub.subscriptions.consume", "dead-letter subscriptions"),
    ("POST", r"/PUBSUB/.*token-refresh-events:publish$", "pubsub.topics.publish", "topic events"),
    ("POST", r"/PUBSUB/.*token-refresh:publish$", "pubsub.topics.publish", "topic refresh"),
]
# Of the predefined roles that operators get.
PREDEFINED = {
    "roles/pubsub.publisher": {"pubsub.topics.publish"},
    "roles/pubsub.subscriber": {"pubsub.subscriptions.consume"},
    "roles/secretmanager.secretVersionAdder": {"secretmanager.versions.add"},
}


def blocks_of(page: str, *, for_deployers: bool | None = None) -> list[str]:
    """Return the shell blocks and commands of a page; those marked `<!-- deployer -->` only, or without them."""
    text = (ROOT / page).read_text()
    found = re.findall(r"^(<!-- deployer -->\n)?```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks = [block for mark, block in found if for_deployers is None or bool(mark) == for_deployers]
    return blocks + ([] if for_deployers else re.findall(r"`(gcloud [^`]*\$[^`]*)`", text))


def run(blocks: list[str], folder: Path) -> Recording:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    return Recording(NAMES + STUBS + "\n".join(blocks), folder)


def complaints_of(recording: Recording) -> list[str]:
    """Return what gcloud did not like; the recorder has no service, function or revision to show."""
    unknown = r"Cannot find service|no such|recorded|could not be found|NOT_FOUND|may not exist"
    return [line for line in recording.complaints if not re.search(unknown, line)]


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Run what the runbook asks of operators."""
    return run(blocks_of("docs/runbook.md", for_deployers=False), tmp_path_factory.mktemp("operators"))


def test_gcloud_takes_every_command_of_the_runbook(operators: Recording, tmp_path: Path) -> None:
    deployers = run(blocks_of("docs/runbook.md", for_deployers=True), tmp_path)
    for recording in (operators, deployers):
        assert not complaints_of(recording)
        assert recording.requests


@pytest.mark.usefixtures("terraform")
def test_a_move_waits_for_what_may_be_under_way() -> None:
    settings = Settings()
    seconds = settings.run_seconds + 2 * settings.http_timeout + settings.lease_seconds
    assert f"\nsleep {seconds:g}\n" in (ROOT / "docs/runbook.md").read_text()
    assert make_plan("minimal").output("settle_seconds") == seconds


@pytest.mark.parametrize("page", ["docs/security.md", "docs/consent.md", "README.md"])
def test_gcloud_takes_every_command_of_the_page(page: str, tmp_path: Path) -> None:
    blocks = blocks_of(page)
    assert blocks
    recording = run(blocks, tmp_path)
    assert not complaints_of(recording)
    assert recording.requests


@pytest.mark.usefixtures("terraform")
def test_operators_may_do_what_the_runbook_asks_of_them(operators: Recording) -> None:
    held = permissions_of_operators(make_plan("complete"))
    asked = {permission_for(request) for request in operators.requests}
    assert len(asked) > 12
    assert not {(permission, on) for permission, on in asked if permission not in held.get(on or "project", set())}


@pytest.mark.usefixtures("terraform")
def test_operators_have_nothing_that_opens_a_payload_or_grants_a_role() -> None:
    held = set().union(*permissions_of_operators(make_plan("complete")).values())
    forbidden = (
        r"versions\.access|setIamPolicy|serviceAccounts|services\.(create|update|delete)|secrets\.(create|delete)"
    )
    assert not {permission for permission in held if re.search(forbidden, permission)}


def permissions_of_operators(plan: Plan) -> dict[str, set[str]]:
    """Return what operators hold, by what it is on."""
    custom = {
        f"projects/{role['project']}/roles/{role['role_id']}": set(role["permissions"])
        for role in plan.created("google_project_iam_custom_role").values()
    }
    held: dict[str, set[str]] = {}
    for grant in plan.output("iam"):
        if grant.get("member") == "group:operators@example.com":
            held.setdefault(grant["on"], set()).update((custom | PREDEFINED).get(grant["role"], set()))
    return held


def permission_for(request: Request) -> tuple[str, str | None]:
    """Return the permission that a request asks for, and where operators hold it."""
    for method, path, permission, on in PERMISSIONS:
        if request.method == method and re.search(path, request.path):
            return permission, on
    pytest.fail(f"no permission is known for {request.method} {request.path}: mark the block <!-- deployer -->?")
