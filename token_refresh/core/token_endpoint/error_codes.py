"""Error codes that mean one thing at any provider, in lower case; a provider's own lists outrank them."""

from __future__ import annotations

from typing import Final

# https://developers.google.com/identity/protocols/oauth2#expiration (session control)
REAUTHENTICATE: Final = frozenset({"invalid_rapt", "rapt_required"})
# RFC 6749, section 5.2, and codes that name the refresh token so plainly that they mean one thing anywhere.
DEAD: Final = REAUTHENTICATE | {
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "expired_refresh_token",
    "refresh_token_expired",
    "refresh_token_revoked",
    "refresh_token_reused",
}

# RFC 6749, section 5.2; RFC 8707, section 2; RFC 9449, section 5; Google's and others' words for the same.
CLIENT: Final = frozenset(
    {
        "invalid_client",
        "unauthorized_client",
        "invalid_request",
        "invalid_scope",
        "unsupported_grant_type",
        "access_denied",
        "invalid_target",
        "invalid_dpop_proof",
        "redirect_uri_mismatch",
        # https://developers.google.com/identity/protocols/oauth2/web-server#authorization-errors
        "admin_policy_enforced",
        "org_internal",
        "deleted_client",
        "disabled_client",
    }
)
INVALID_CLIENT: Final = frozenset(
    {
        "invalid_client_id",
        "invalid_client_secret",
        "bad_client_id",
        "bad_client_secret",
        "incorrect_client_credentials",
    }
)

TRANSIENT: Final = frozenset(
    {
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "internal_error",
        "internal_failure",
        "internal_server_error",
        "backend_error",
        "backenderror",
        "service_unavailable",
        "unavailable",
        "timeout",
        "request_timeout",
        "rate_limit",
        "rate_limited",
        "ratelimited",
        "rate_limit_exceeded",
        "ratelimitexceeded",
        "userratelimitexceeded",
        "quotaexceeded",
        "too_many_requests",
        "resource_exhausted",
        "throttled",
        "use_dpop_nonce",  # RFC 9449, section 8: answered already, so asked twice
    }
)
