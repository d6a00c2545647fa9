"""Configure Django for one process: no settings module, no migrations, a database that lives as long as the server."""

from __future__ import annotations

import functools
import secrets
from pathlib import Path

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command

HERE = "infra.local.authorization_server"
DJANGO_APPS = ("auth", "contenttypes", "sessions", "oauth2_provider")


def configure(directory: Path, *, templates: Path) -> None:
    """Set Django up with its database file in `directory`; once per process."""
    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(48),
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=f"{HERE}.urls",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            HERE,
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [templates],
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        # Other local servers on other ports of this host share its cookie jar.
        SESSION_COOKIE_NAME="authorization-server-session",
        CSRF_COOKIE_NAME="authorization-server-csrf",
        LOGIN_URL="login",
        # Sample accounts: a real hash costs a quarter of a second each.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={"default": _database(directory / "authorization-server.sqlite3")},
        # Tables straight from the models; replaying every migration takes seconds.
        MIGRATION_MODULES=dict.fromkeys(DJANGO_APPS),
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"django": {"handlers": ["stderr"], "level": "ERROR"}, "django.server": {"level": "ERROR"}},
        },
        OAUTH2_PROVIDER_APPLICATION_MODEL="authorization_server.Client",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": private_key(),
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
            "OAUTH2_VALIDATOR_CLASS": f"{HERE}.per_client.Validator",
            "SCOPES_BACKEND_CLASS": f"{HERE}.per_client.Scopes",
            "EXTRA_SERVER_KWARGS": {"token_expires_in": _access_token_seconds},
        },
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def _access_token_seconds(request: object) -> int:
    seconds: int = request.client.access_token_seconds  # type: ignore[attr-defined]
    return seconds


def _database(path: Path) -> dict[str, object]:
    # IMMEDIATE makes writers queue at the start of a transaction instead of failing in its middle.
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    options = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": pragmas}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options}


@functools.cache
def private_key() -> str:
    """Make the key that ID tokens are signed with: one for each process, and for those that are forked from it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode()
