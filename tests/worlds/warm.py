"""What the process has loaded that others are forked from: else each would spend more on imports than on its work.

Entry points import what they need when they are first asked, and each fork loads the program that the tests run in.
"""

from __future__ import annotations

import gc
import importlib

from infra.local.authorization_server import site

for name in (
    "authlib.integrations.requests_client",
    "django.contrib.auth.hashers",
    "django.core.management.commands.migrate",
    "django.core.servers.basehttp",
    "django.core.wsgi",
    "django.db.backends.sqlite3.base",
    "flask.testing",
    "functions_framework._cli",
    "functions_framework._http.gunicorn",
    "google.cloud.logging_v2.handlers",
    "google.cloud.pubsub_v1",
    "googleapiclient.discovery",
    "grpc._interceptor",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "jinja2.ext",
    "jwcrypto.jwt",
    "main",
    "oauth2_provider.validators",
    "oauthlib.openid",
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
    "token_refresh.web.consent",
    "token_refresh.web.status",
):
    importlib.import_module(name)
site.private_key()
# What is shared with the forks stays shared: a collector that walks over it would copy it.
gc.collect()
gc.freeze()
