"""What the process has loaded that runs are forked from: else each run would spend more on imports than on its calls.

Entry points import what they need when they are first asked, and each fork loads the program that the tests run in.
"""

from __future__ import annotations

import gc
import importlib

for name in (
    "flask.testing",
    "google.cloud.logging_v2.handlers",
    "google.cloud.pubsub_v1",
    "main",
    "pytest",
    "tests.baselines.plain_loop",
    "tests.worlds.one_run",
    "token_refresh.adapters.http",
    "token_refresh.adapters.pubsub",
    "token_refresh.adapters.secret_manager",
    "token_refresh.adapters.secret_manager_client",
    "token_refresh.adapters.signing",
    "token_refresh.adapters.tickets",
    "token_refresh.core.trigger",
    "token_refresh.instance.termination",
    "token_refresh.run.build",
    "token_refresh.token_endpoint.exchange",
    "token_refresh.token_endpoint.revocation",
):
    importlib.import_module(name)
# What is shared with the forks stays shared: a collector that walks over it would copy it.
gc.collect()
gc.freeze()
