"""`python -m infra.local up` keeps the local stack running; `python -m infra.local demo` tells its story."""

from __future__ import annotations

import argparse
import sys
import threading

from infra.local.processes import ProcessFailedError, end_on_signals
from infra.local.stack import EVENTS_SUBSCRIPTION, REFRESH_TOPIC, Stack

ADDRESSES = """\
Local stack of project {project}, in memory, on loopback; logs in {directory}

  refresh_http          {refresh_http}
  status page           {status}
  consent               {consent}
  Secret Manager        REST {rest}   gRPC {grpc}
  Pub/Sub ({kind})  {pubsub}   topic {topic}, events in subscription {events}
  authorization server  {server}   providers local, local-google, local-rotating; password of every account: demo
  mail (SMTP)           {mail}

The real gcloud works against it with two variables:

  export CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER={rest}/
  export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true
  gcloud secrets list --project {project}

Refresh what is due:

  curl -X POST {refresh_http}
"""


def describe(stack: Stack) -> str:
    """Name every address of a running stack, and how to use them."""
    return ADDRESSES.format(
        project=stack.project,
        directory=stack.directory,
        rest=stack.secret_manager.rest_url.rstrip("/"),
        grpc=stack.secret_manager.grpc_address,
        kind=stack.pubsub.kind,
        pubsub=stack.pubsub.address,
        topic=REFRESH_TOPIC,
        events=EVENTS_SUBSCRIPTION,
        server=stack.authorization_server.url,
        mail=stack.mail.address,
        **{name: function.url for name, function in stack.functions.items()},
    )


def up() -> int:
    """Run the stack until stopped."""
    with Stack() as stack:
        print(describe(stack), flush=True)
        print("Ctrl-C stops it.", flush=True)
        threading.Event().wait()
    return 0


def main() -> int:
    """Run the command that was asked for; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("command", choices=["up", "demo"])
    command = parser.parse_args().command
    end_on_signals()
    try:
        if command == "up":
            return up()
        from infra.local.demo import demo  # noqa: PLC0415 -- rich is not needed to run the stack

        return demo()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except ProcessFailedError as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
