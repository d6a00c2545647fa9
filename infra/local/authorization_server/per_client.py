"""Where the toolkit asks a setting of the whole server, answer with the client's own."""

from __future__ import annotations

import threading
from typing import Any

from oauth2_provider import oauth2_validators
from oauth2_provider.models import get_application_model
from oauth2_provider.scopes import BaseScopes
from oauth2_provider.settings import oauth2_settings

_serving = threading.local()


class _SettingsOfClient:
    """Stand where the validator module looks its settings up; all but two pass through."""

    def __getattr__(self, name: str) -> Any:
        client = getattr(_serving, "client", None)
        if client is not None and name == "REFRESH_TOKEN_GRACE_PERIOD_SECONDS":
            return client.grace_seconds
        if client is not None and name == "REFRESH_TOKEN_REUSE_PROTECTION":
            return client.reuse_protection
        return getattr(oauth2_settings, name)


oauth2_validators.oauth2_settings = _SettingsOfClient()


class Validator(oauth2_validators.OAuth2Validator):  # type: ignore[misc]
    """Rotation, grace, reuse protection and claims by client and user."""

    # A claim is given out when the scope named here was granted.
    oidc_claim_scope = {  # noqa: RUF012 - the toolkit's own convention
        **oauth2_validators.OAuth2Validator.oidc_claim_scope,
        "preferred_username": "profile",
    }

    def rotate_refresh_token(self, request: Any) -> bool:
        """Answer with the client's own switch."""
        return bool(request.client.rotates_refresh_tokens)

    def validate_refresh_token(self, refresh_token: str, client: Any, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Let the toolkit decide, under the client's grace period and reuse protection."""
        _serving.client = client
        try:
            return bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))
        finally:
            _serving.client = None

    def get_additional_claims(self, request: Any) -> dict[str, object]:
        """Name the owner by e-mail, always verified."""
        user = request.user
        return {"email": user.email, "email_verified": True, "preferred_username": user.get_username()}


class Scopes(BaseScopes):  # type: ignore[misc]
    """Every client has its own list of scopes, any words will do."""

    def get_all_scopes(self) -> dict[str, str]:
        """List the scopes of all clients with a line for the consent page."""
        rows = get_application_model().objects.values_list("scopes", flat=True)
        known = {
            "openid": "Confirm who you are",
            "email": "See your e-mail address",
            "profile": "See your name",
            "calendar": "See your calendar",
        }
        return {scope: known.get(scope, "Use your data for") for row in rows for scope in row.split()}

    def get_available_scopes(self, application: Any = None, request: Any = None, *_: Any, **__: Any) -> list[str]:  # noqa: ARG002
        """List the scopes of one client, of all when none is named."""
        return list(self.get_all_scopes()) if application is None else application.scopes.split()

    def get_default_scopes(self, application: Any = None, request: Any = None, *_: Any, **__: Any) -> list[str]:
        """Ask for all of them when the request names none."""
        return self.get_available_scopes(application, request)
