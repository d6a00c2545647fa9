"""What a provider is: contract 10 as frozen data. `table` reads it, `url` fills its templates.

Each key is declared once, with its kind, its default and a word for editors: `keys` reads what is declared here, and
the JSON Schema shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Final

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
REVOKED_TOKENS: Final = ("both", "refresh_token", "access_token")
# In `learned`: any value that may stand in a URL.
ANY: Final = ("*",)
SUBJECT_SOURCES: Final = ("id_token", "userinfo", "token_response")
# What a template of a parameter or header may name beside the provider's variables.
TEMPLATE_WORDS: Final = frozenset({"client_id", "client_secret", "scopes"})
# And what one of a revocation may name.
REVOCATION_WORDS: Final = frozenset({"client_id", "client_secret", "token", "token_type_hint"})


def _key(kind: str, says: str, default: Any = MISSING, *, among: Sequence[str] = (), name: str | None = None) -> Any:
    """Declare a key: its kind (a method of `Keys`), what an editor says of it, and the value where it is absent.

    `among` are the words of a choice; `name` is the key where it is not the field's name.
    """
    metadata = {"kind": kind, "says": says, "among": among, "key": name}
    return field(**{"default_factory" if callable(default) else "default": default}, metadata=metadata)


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

    source: str = _key("choice", "Where the account's id is.", among=SUBJECT_SOURCES, name="from")
    path: str = _key("path", "Of the id there.", "sub")
    url: str | None = _key("url", "Of the userinfo endpoint.", None)


@dataclass(frozen=True, slots=True)
class RevocationWay:
    """How a grant is revoked at `revocation_url`; as it stands RFC 7009, section 2.1.

    `client_auth` and `request_format` None: those of the definition. `tokens`: the refresh token first, then the access
    token, or one of the two where it ends the grant.
    """

    method: str = _key("choice", "Of the request.", "POST", among=("POST", "DELETE", "GET"))
    tokens: str = _key(
        "choice", "The refresh token and then the access token, or one of them.", "both", among=REVOKED_TOKENS
    )
    client_auth: str | None = _key("choice", "Where it is not the definition's.", None, among=CLIENT_AUTH_METHODS)
    request_format: str | None = _key("choice", "Where it is not the definition's.", None, among=REQUEST_FORMATS)
    params: Params = _key(
        "params",
        "Templates may name {token} and {token_type_hint}.",
        lambda: {"token": "{token}", "token_type_hint": "{token_type_hint}"},
    )
    headers: Mapping[str, str] = _key("headers", "Likewise.", dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """An authorization server and its habits (contract 10). Templates hold ``{variable}``; lifetimes are seconds."""

    name: str
    token_url: str = _key("url", "The token endpoint; {name} is a variable. Required unless it is inherited.")
    refresh_url: str = _key("url", "Where refreshes go, if elsewhere.")
    title: str | None = _key("text", "What people call it.", None)
    authorization_url: str | None = _key("url", "Where the owner consents; without it there is no link.", None)
    revocation_url: str | None = _key(
        "url", "Where a grant is revoked (RFC 7009); may name {client_id} in its path.", None
    )
    revocation: RevocationWay = _key(
        "revocation", "How it is revoked there, where that is not RFC 7009's way.", RevocationWay()
    )
    issuer: str | None = _key("url", "Compared with the ID token's iss and RFC 9207's.", None)
    probe_url: str | None = _key("url", "Answers 2xx to a GET with a working access token.", None)
    variables: Mapping[str, str] = _key("variables", 'Name -> default, or "" for one that must be given.', dict)
    learned: Mapping[str, tuple[str, ...]] = _key(
        "learned", 'What a callback may tell: name -> its values, or "*" where it stands in no host.', dict
    )
    client_auth: str = _key("choice", "How the client proves itself.", "client_secret_post", among=CLIENT_AUTH_METHODS)
    request_format: str = _key("choice", "Where the parameters go.", "form", among=REQUEST_FORMATS)
    # RFC 6749, section 3.2, knows POST alone; Meta's long-lived tokens are exchanged by GET.
    refresh_method: str = _key("choice", 'GET needs request_format = "query".', "POST", among=("POST", "GET"))
    token_params: Params = _key("params", "Added to every token request.", dict)
    refresh_params: Params = _key("params", "Added to refreshes; outranks everything else there.", dict)
    authorization_params: Params = _key("params", "Added to the authorization request: the offline parameters.", dict)
    headers: Mapping[str, str] = _key("headers", "Of requests to the provider.", dict)
    param_names: Mapping[str, str] = _key("names", 'Other names: client_id = "client_key".', dict)
    scope_separator: str = _key("separator", "Between scopes.", " ")
    pkce: bool = _key("flag", "PKCE S256 at consent.", default=True)
    openid: bool = _key("flag", "The reply has an ID token, which is checked.", default=False)
    iss_required: bool = _key("flag", "The callback must carry iss (RFC 9207).", default=False)
    verified_usernames: bool = _key("flag", "preferred_username tells who somebody is.", default=False)
    rotates_refresh_tokens: str = _key("choice", 'Only "never" does without a lease.', "maybe", among=ROTATION)
    response: ResponsePaths = _key("response", "Where a reply keeps its fields.", ResponsePaths())
    keep: tuple[str, ...] = _key("paths", "Paths of the reply copied to extra.", ())
    # RFC 6749, section 5.1 (its example; also Google's, and the catalogue's median).
    default_expires_in: int = _key("seconds", "s, when the reply does not tell.", 3600)
    refresh_before_expiry: int | None = _key("seconds", "s; at most half of the token's life.", None)
    refresh_token_lifetime: int | None = _key("seconds", "s, after which only a new consent helps.", None)
    refresh_token_lifetime_from: str = _key(
        "choice", "From when that life counts.", "issue", among=("issue", "consent")
    )
    refresh_token_idle_lifetime: int | None = _key("seconds", "s without use.", None)
    dead_errors: tuple[str, ...] = _key(
        "texts", "Codes, or phrases (with a space): the grant is gone, the owner is asked.", ()
    )
    client_errors: tuple[str, ...] = _key("texts", "Likewise: the operator's matter.", ())
    admin_errors: tuple[str, ...] = _key("texts", "Likewise: an administrator's matter; a consent would not help.", ())
    transient_errors: tuple[str, ...] = _key("texts", "Likewise: later.", ())
    subject: SubjectSource | None = _key("subject", "How to know the account behind a grant.", None)

    # Other definitions whose names begin with this one's and a dash: what is named after them is not this one's.
    longer_names: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """Return what people call the provider: its title, else its key."""
        return self.title or self.name

    @property
    def counts_from_consent(self) -> bool:
        """Tell whether a refresh token's life counts from the owner's consent, and not anew from each issue."""
        return self.refresh_token_lifetime_from == "consent"  # noqa: S105 - not a token

    @property
    def rotates(self) -> bool:
        """Tell whether a refresh may replace the refresh token; what is not known to keep it is taken to."""
        return self.rotates_refresh_tokens != "never"
