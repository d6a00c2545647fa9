"""The JSON Schema of provider files, for editors: completion, a word on each key, and red lines before anything runs.

It says what a key may be; what two keys may be together, and what a URL may hold, only `providers check` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Final

from token_refresh.core.provider.definition import (
    CLIENT_AUTH_METHODS,
    DEFAULT_EXPIRES_IN,
    LIFETIME_STARTS,
    REFRESH_METHODS,
    REQUEST_FORMATS,
    REVOCATION_METHODS,
    REVOKED_TOKENS,
    ROTATION,
    SUBJECT_SOURCES,
    ResponsePaths,
)

Schema = Mapping[str, object]

_URL: Final[Schema] = {"type": "string", "pattern": "^https?://[^ #]+$"}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string", "pattern": "\\S"}}
_PATH: Final[Schema] = {"type": "string", "pattern": "^[^.\\s]+(\\.[^.\\s]+)*$"}
_SECONDS: Final[Schema] = {"type": "integer", "minimum": 1}
_VALUE: Final[Schema] = {"type": ["string", "integer", "boolean"]}
_VARIABLE: Final = "^[A-Za-z0-9.-]{1,253}$"


def build_schema() -> Schema:
    """Build the schema of a file of definitions: one table per provider."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Providers of token-refresh",
        "description": "PROVIDERS_FILE: one table per provider, named as in the label token-refresh-provider.",
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
        "additionalProperties": {"$ref": "#/$defs/provider"},
        "$defs": {
            "provider": {
                **_table(_keys()),
                "anyOf": [{"required": ["token_url"]}, {"required": ["extends"]}],
            }
        },
    }


def render_schema() -> str:
    """Return the schema as the file docs/providers.schema.json holds it."""
    return json.dumps(build_schema(), indent=2) + "\n"


def _keys() -> Mapping[str, Schema]:
    return {
        "extends": _said({"type": "string"}, "Another provider: tables are merged, lists appended, the rest replaced."),
        "title": _said({"type": "string", "pattern": "\\S"}, "What people call it."),
        "token_url": _said(_URL, "The token endpoint; {name} is a variable. Required unless it is inherited."),
        "refresh_url": _said(_URL, "Where refreshes go, if elsewhere."),
        "authorization_url": _said(_URL, "Where the owner consents; without it there is no link."),
        "revocation_url": _said(_URL, "Where a grant is revoked (RFC 7009); may name {client_id} in its path."),
        "revocation": _said(_table(_revocation()), "How it is revoked there, where that is not RFC 7009's way."),
        "issuer": _said(_URL, "Compared with the ID token's iss and RFC 9207's."),
        "probe_url": _said(_URL, "Answers 2xx to a GET with a working access token."),
        "variables": _said(
            _map({"type": ["string", "integer", "boolean"]}), 'Name -> default, or "" for one that must be given.'
        ),
        "learned": _said(
            _map({"anyOf": [{"const": "*"}, {"type": "array", "minItems": 1, "items": {"pattern": _VARIABLE}}]}),
            'What a callback may tell: name -> its values, or "*" where it stands in no host.',
        ),
        "client_auth": _choice(CLIENT_AUTH_METHODS, "client_secret_post", "How the client proves itself."),
        "request_format": _choice(REQUEST_FORMATS, "form", "Where the parameters go."),
        "refresh_method": _choice(REFRESH_METHODS, "POST", 'GET needs request_format = "query".'),
        "token_params": _said(_params(), "Added to every token request."),
        "refresh_params": _said(_params(), "Added to refreshes; outranks everything else there."),
        "authorization_params": _said(_params(), "Added to the authorization request: the offline parameters."),
        "headers": _said(_map(_VALUE), "Of requests to the provider."),
        "param_names": _said(_map({"type": "string", "minLength": 1}), 'Other names: client_id = "client_key".'),
        "scope_separator": _said({"type": "string", "minLength": 1, "default": " "}, "Between scopes."),
        "pkce": _flag("PKCE S256 at consent.", default=True),
        "openid": _flag("The reply has an ID token, which is checked.", default=False),
        "iss_required": _flag("The callback must carry iss (RFC 9207).", default=False),
        "verified_usernames": _flag("preferred_username tells who somebody is.", default=False),
        "rotates_refresh_tokens": _choice(ROTATION, "maybe", 'Only "never" does without a lease.'),
        "response": _said(_table({f.name: _PATH for f in fields(ResponsePaths)}), "Where a reply keeps its fields."),
        "keep": _said({"type": "array", "items": _PATH}, "Paths of the reply copied to extra."),
        "default_expires_in": _said({**_SECONDS, "default": DEFAULT_EXPIRES_IN}, "s, when the reply does not tell."),
        "refresh_before_expiry": _said(_SECONDS, "s; at most half of the token's life."),
        "refresh_token_lifetime": _said(_SECONDS, "s, after which only a new consent helps."),
        "refresh_token_lifetime_from": _choice(LIFETIME_STARTS, "issue", "From when that life counts."),
        "refresh_token_idle_lifetime": _said(_SECONDS, "s without use."),
        "dead_errors": _said(_TEXTS, "Codes, or phrases (with a space): the grant is gone, the owner is asked."),
        "client_errors": _said(_TEXTS, "Likewise: the operator's matter."),
        "admin_errors": _said(_TEXTS, "Likewise: an administrator's matter; a consent would not help."),
        "transient_errors": _said(_TEXTS, "Likewise: later."),
        "subject": _said(
            {
                **_table(
                    {
                        "from": _choice(SUBJECT_SOURCES, None, "Where the account's id is."),
                        "path": {**_PATH, "default": "sub"},
                        "url": _URL,
                    }
                )
            },
            "How to know the account behind a grant.",
        ),
    }


def _revocation() -> Mapping[str, Schema]:
    return {
        "method": _choice(REVOCATION_METHODS, "POST", "Of the request."),
        "tokens": _choice(REVOKED_TOKENS, "both", "The refresh token and then the access token, or one of them."),
        "client_auth": _choice(CLIENT_AUTH_METHODS, None, "Where it is not the definition's."),
        "request_format": _choice(REQUEST_FORMATS, None, "Where it is not the definition's."),
        "params": _said(_params(), "Templates may name {token} and {token_type_hint}."),
        "headers": _said(_map(_VALUE), "Likewise."),
    }


def _said(schema: Schema, description: str) -> Schema:
    return {"description": description, **schema}


def _choice(values: Sequence[str], default: str | None, description: str) -> Schema:
    chosen = {} if default is None else {"default": default}
    return {"description": description, "enum": list(values), **chosen}


def _flag(description: str, *, default: bool) -> Schema:
    return {"description": description, "type": "boolean", "default": default}


def _params() -> Schema:
    repeated = {"type": "array", "minItems": 1, "items": {"type": "string"}}
    return _map({"anyOf": [_VALUE, repeated]})


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _table(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}
