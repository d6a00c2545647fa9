"""The control endpoint under `/_local/`: seed users, clients and grants, look at them, switch faults on.

JSON in, JSON out, on loopback. A page in somebody's browser cannot call it: it would need a CORS preflight for the
content type, and gets none.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import AccessToken, RefreshToken

from infra.local.authorization_server.faults import Fault, TokenEndpoint, sha256
from infra.local.authorization_server.models import Client

PASSWORD = "demo"  # noqa: S105 - of every sample account, shown on the login page
ENDPOINT = TokenEndpoint()


def save_user(email: str) -> dict[str, Any]:
    """Create or change a resource owner; the e-mail address is the user name."""
    user, _ = User.objects.get_or_create(username=email, defaults={"email": email})
    user.set_password(PASSWORD)
    user.save()
    return {}


def save_client(
    client_id: str,
    *,
    public: bool = False,
    redirect_uris: list[str] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Create or change a client; `fields` are those of the model."""
    client = Client.objects.filter(client_id=client_id).first() or Client(
        client_id=client_id,
        client_secret=secrets.token_urlsafe(32),
        client_type=Client.CLIENT_PUBLIC if public else Client.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        algorithm=Client.RS256_ALGORITHM,
        # Compared on every call of the token endpoint; hashing would cost more than all the rest.
        hash_client_secret=False,
        name=client_id,
    )
    if redirect_uris is not None:
        client.redirect_uris = " ".join(redirect_uris)
    for name, value in fields.items():
        if not hasattr(client, name):
            raise ValueError(f"a client has no {name}")
        setattr(client, name, value)
    client.save()
    return {"client_id": client.client_id, "client_secret": client.client_secret}


def save_grant(client_id: str, email: str) -> dict[str, Any]:
    """Issue tokens for client and owner as if the owner had just consented."""
    client = Client.objects.get(client_id=client_id)
    user = User.objects.get(username=email)
    access_token = AccessToken(
        user=user,
        application=client,
        token=secrets.token_urlsafe(32),
        scope=client.scopes,
        expires=timezone.now() + timedelta(seconds=client.access_token_seconds),
    )
    access_token.save()
    refresh_token = RefreshToken(
        user=user,
        application=client,
        token=secrets.token_urlsafe(32),
        access_token=access_token,
        token_family=uuid.uuid4(),
    )
    refresh_token.save()
    return {"refresh_token": refresh_token.token}


def revoke(refresh_token: str) -> dict[str, Any]:
    """Kill the whole grant this refresh token belongs to, as its owner would."""
    for row in RefreshToken.objects.filter(token_checksum=sha256(refresh_token)):
        RefreshToken.revoke_family(row.token_family)
    return {}


def look_at(refresh_token: str) -> dict[str, Any]:
    """Tell whether this very refresh token is live, and whether any of its grant is."""
    row = RefreshToken.objects.filter(token_checksum=sha256(refresh_token)).order_by("-revoked").first()
    live = RefreshToken.objects.filter(revoked__isnull=True, access_token__isnull=False)
    return {
        "known": row is not None,
        "alive": live.filter(token_checksum=sha256(refresh_token)).exists(),
        "grant_alive": row is not None and live.filter(token_family=row.token_family).exists(),
    }


def _faults(*, clear: bool = False, **fault: Any) -> dict[str, Any]:
    if clear:
        ENDPOINT.clear_faults()
    if fault:
        ENDPOINT.add_fault(Fault(**fault))
    return {"faults": ENDPOINT.faults()}


def _calls(*, clear: bool = False) -> dict[str, Any]:
    answer = {"calls": ENDPOINT.calls()}
    if clear:
        ENDPOINT.forget_calls()
    return answer


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "user": save_user,
    "client": save_client,
    "grant": save_grant,
    "revoke": revoke,
    "look": look_at,
    "faults": _faults,
    "calls": _calls,
}


@csrf_exempt  # type: ignore[untyped-decorator]
def control(request: HttpRequest, command: str) -> JsonResponse:
    """Run one command with the JSON object of the body as its arguments."""
    if request.method != "POST" or request.content_type != "application/json":
        return JsonResponse({"error": "POST application/json"}, status=405)
    if command not in COMMANDS:
        return JsonResponse({"error": f"one of {', '.join(COMMANDS)}"}, status=404)
    try:
        return JsonResponse(COMMANDS[command](**json.loads(request.body or b"{}")))
    except (TypeError, ValueError, Client.DoesNotExist, User.DoesNotExist) as exc:
        return JsonResponse({"error": str(exc)}, status=400)
