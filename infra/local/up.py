"""Keep the local stack running, and say where everything is and how to use it."""

from __future__ import annotations

import threading
from contextlib import closing

from infra.local.demo.samples import Secrets
from infra.local.stack import EVENTS_SUBSCRIPTION, REFRESH_TOPIC, Stack

OWNER = "ada@example.com"
# By provider: a connection that names no client uses `oauth-client-<provider>`.
CLIENTS = {"local": False, "local-google": False, "local-rotating": True}

ADDRESSES = """\
Local stack of project {project}, in memory, on loopback; logs in {directory}

  status page           {status}
  refresh_http          {refresh_http}
  consent               {consent}
  token                 {token}   caller {account}, metadata server {metadata}
  Secret Manager        {rest}   gRPC {grpc}
  Pub/Sub               {pubsub}   {kind}; topic {topic}, events: subscription {events}
  authorization server  {server}   account {owner}, password demo
  mail (SMTP)           {mail}

Providers local, local-google and local-rotating are this authorization server; each has a client registration.
"""

EXAMPLE = """\
# The real gcloud works against it with these variables:
export CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER={rest}/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true
export CLOUDSDK_CORE_PROJECT={project}
# Declare a connection:
gcloud secrets create sample-access-token
gcloud secrets create sample-refresh-token --labels=token-refresh=enabled,token-refresh-provider=local
# Get a grant (as if {owner} had just consented) and store its refresh token:
curl -s -H 'Content-Type: application/json' -d '{{"client_id": "local", "email": "{owner}"}}' {server}/_local/grant \\
  | python3 -c 'import json, sys; print(json.load(sys.stdin)["refresh_token"])' \\
  | gcloud secrets versions add sample-refresh-token --data-file=-
# Refresh what is due, and read the access token as a job does:
curl -s -X POST {refresh_http}
gcloud secrets versions access latest --secret=sample-access-token
"""


def up() -> None:
    """Run the stack until stopped."""
    with Stack() as stack:
        prepare(stack)
        text = f"{ADDRESSES}\n{EXAMPLE}\nCtrl-C stops it."
        print(text.format(**addresses(stack)), flush=True)  # noqa: T201 - a command's output
        threading.Event().wait()


def prepare(stack: Stack) -> None:
    """Register the clients that connections use by default, and an owner."""
    stack.authorization_server.create_user(OWNER)
    with closing(Secrets(stack)) as secrets:
        for client, rotates in CLIENTS.items():
            secrets.declare_client(client, rotates_refresh_tokens=rotates)


def addresses(stack: Stack) -> dict[str, str]:
    """Name every address of a running stack."""
    return {
        "project": stack.project,
        "directory": str(stack.directory),
        "rest": stack.secret_manager.rest_url.rstrip("/"),
        "grpc": stack.secret_manager.grpc_address,
        "kind": stack.pubsub.kind,
        "pubsub": stack.pubsub.address,
        "topic": REFRESH_TOPIC,
        "events": EVENTS_SUBSCRIPTION,
        "server": stack.authorization_server.url,
        "mail": stack.mail.address,
        "owner": OWNER,
        "account": stack.metadata.account,
        "metadata": stack.metadata.host,
        **{name: function.url for name, function in stack.functions.items()},
    }
