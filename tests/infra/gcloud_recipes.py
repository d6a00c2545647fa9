"""The recipes of docs/deploy-gcloud.md, and what is read of the requests that gcloud makes of them."""

from __future__ import annotations

import re
from typing import Any

from tests.infra.google_recorder import Request
from tests.infra.plans import ROOT
from tests.infra.recording import Recording

PAGE = ROOT / "docs/deploy-gcloud.md"


def recipe(name: str) -> str:
    """Return a recipe of the page, between its markers."""
    found = re.search(rf"<!-- {name}:begin -->\n```\w+\n(.*?)```\n<!-- {name}:end -->", PAGE.read_text(), re.DOTALL)
    assert found, f"{PAGE} has no recipe {name}"
    return found[1]


def names_of_the_preparation() -> str:
    """Return the preparation's variables and functions, without its commands."""
    kept = r"export|PROJECT=|NUMBER=|\w+\(\) \{|accessor=|ours="
    return "\n".join(line for line in recipe("gcloud").splitlines() if re.match(kept, line)) + "\n"


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
        "/serviceAccounts/token-refresh-push": "service account push",
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


def shape_of(request: Request, target: str) -> dict[str, Any]:
    body = request.body
    spec: dict[str, Any] = body["spec"]["template"]["spec"]
    container = spec["containers"][0]
    environment = {e["name"]: e.get("value", "json://what-Secret-Manager-holds-long-enough") for e in container["env"]}
    annotations = body["metadata"]["annotations"] | body["spec"]["template"]["metadata"]["annotations"]
    return {
        "target": target,
        "account": spec["serviceAccountName"],
        "environment": environment,
        "timeout": str(spec["timeoutSeconds"]),
        "instances": int(annotations["autoscaling.knative.dev/maxScale"]),
        "memory": container["resources"]["limits"]["memory"],
        "is_internal": annotations.get("run.googleapis.com/ingress") == "internal",
    }


def each(block: str) -> list[tuple[str, str]]:
    keys = re.search(r"for_each = toset\(\[(.*?)\]\)", block)
    if keys:
        return [(key, key) for key in re.findall(r'"([^"]+)"', keys[1])]
    pairs = re.search(r"for_each = \{(.*?)\}", block)
    return re.findall(r'(\w+) = "([^"]+)"', pairs[1]) if pairs else [("", "")]
