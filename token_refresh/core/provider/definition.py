"""What a provider is: contract 10 as frozen data. `provider_table` reads it, `provider_url` fills its templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# A parameter with several values is repeated (RFC 8707, section 2, for `resource`).
Params = Mapping[str, "str | tuple[str, ...]"]

CLIENT_AUTH_METHODS: Final = (
    "client_secret_post",
    "client_secret_basic",
    "none",
    "private_key_jwt",
)  # RFC 7591's names
REQUEST_FORMATS: Final = ("form", "json", "query")
ROTATION: Final = ("never", "always", "maybe")
# RFC 6749, section 3.2, knows POST alone; Meta's long-lived tokens are exchanged by GET.
REFRESH_METHODS: Final = ("POST", "GET")
REVOCATION_METHODS: Final = ("POST", "DELETE", "GET")
REVOKED_TOKENS: Final = ("both", "refresh_token", "access_token")
# From when a refresh token's life counts: from the owner's consent, or anew from each issue.
LIFETIME_STARTS: Final = ("issue", "consent")
# In `learned`: any value that may stand in a URL.
ANY: Final = ("*",)
SUBJECT_SOURCES: Final = ("id_token", "userinfo", "token_response")
# What a template of a parameter or header may name beside the provider's variables.
TEMPLATE_WORDS: Final = frozenset({"client_id", "client_secret", "scopes"})
# And what one of a revocation may name.
REVOCATION_WORDS: Final = frozenset({"client_id", "client_secret", "token", "token_type_hint"})

# RFC 6749, section 5.1: what a refresh returns when it does not say (also Google's, and the catalogue's median).
DEFAULT_EXPIRES_IN: Final = 3600


@dataclass(frozen=True, slots=True)
class ResponsePaths:
    """Where a token reply keeps its fields: dotted paths; an empty one is not looked at."""

    access_token: str = "access_token"  # noqa: S105 - a path
    refresh_token: str = "refresh_token"  # noqa: S105 - a path
    expires_in: str = "expires_in"
    expires_at: str = "expires_at"
    scope: str = "scope"


@dataclass(frozen=True, slots=True)
class SubjectSource:
    """How to know the account behind a grant: `path` in the ID token, a userinfo reply or the token reply."""

    source: str
    path: str = "sub"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class RevocationWay:
    """How a grant is revoked at `revocation_url`; as it stands RFC 7009, section 2.1.

    `client_auth` and `request_format` None: those of the definition. `tokens`: the refresh token first, then the access
    token, or one of the two where it ends the grant.
    """

    method: str = "POST"
    tokens: str = "both"
    client_auth: str | None = None
    request_format: str | None = None
    params: Params = field(default_factory=lambda: {"token": "{token}", "token_type_hint": "{token_type_hint}"})
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """An authorization server and its habits (contract 10). Templates hold ``{variable}``; lifetimes are seconds."""

    name: str
    token_url: str
    refresh_url: str
    authorization_url: str | None = None
    revocation_url: str | None = None
    revocation: RevocationWay = RevocationWay()
    issuer: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    client_auth: str = "client_secret_post"
    request_format: str = "form"
    refresh_method: str = "POST"
    token_params: Params = field(default_factory=dict)
    refresh_params: Params = field(default_factory=dict)
    authorization_params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    param_names: Mapping[str, str] = field(default_factory=dict)
    scope_separator: str = " "
    pkce: bool = True
    openid: bool = False
    rotates_refresh_tokens: str = "maybe"
    response: ResponsePaths = ResponsePaths()
    keep: tuple[str, ...] = ()
    default_expires_in: int = DEFAULT_EXPIRES_IN
    refresh_before_expiry: int | None = None
    refresh_token_lifetime: int | None = None
    refresh_token_idle_lifetime: int | None = None
    dead_errors: tuple[str, ...] = ()
    client_errors: tuple[str, ...] = ()
    admin_errors: tuple[str, ...] = ()
    transient_errors: tuple[str, ...] = ()
    learned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    probe_url: str | None = None
    refresh_token_lifetime_from: str = "issue"  # noqa: S105 - not a token
    title: str | None = None
    verified_usernames: bool = False
    iss_required: bool = False
    subject: SubjectSource | None = None

    # Other definitions whose names begin with this one's and a dash: what is named after them is not this one's.
    longer_names: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """Return what people call the provider: its title, else its key."""
        return self.title or self.name

    @property
    def rotates(self) -> bool:
        """Tell whether a refresh may replace the refresh token; what is not known to keep it is taken to."""
        return self.rotates_refresh_tokens != "never"
