"""Revoking a grant at its provider: the request and what the answer means (RFC 7009, or as the definition says).

Revoked       the provider has confirmed that the grant is gone
NotRevoked    it has not confirmed; the grant may be alive, and asking again does no harm
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from token_refresh.core.grant import Client
from token_refresh.core.http import HttpReply, HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import fill, fill_params
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import SUCCESS, Asked, classify_reply
from token_refresh.core.token_endpoint.error_words import read_error
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.token_endpoint.reply import parse_body
from token_refresh.core.token_endpoint.request import authenticate_client, render_request, words_of

REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a token type hint (RFC 7009, section 4.1.2)
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - likewise

# RFC 7009, section 2.2: a token that is not valid is as good as revoked. It is answered with 200; Google and Slack
# say it with an error. Not `invalid_grant`: servers say that, too, of a token that belongs to another client.
_GONE: Final = frozenset({"invalid_token", "token_revoked"})


@dataclass(frozen=True, slots=True)
class Revoked:
    """The grant is gone."""


@dataclass(frozen=True, slots=True)
class NotRevoked:
    """No confirmation; `reason` is the error code or a name of ours."""

    reason: str


Revocation = Revoked | NotRevoked


def build_revocation_request(  # noqa: PLR0913 - the parts of a request
    provider: Provider,
    url: str,
    token: Secret,
    hint: str,
    client: Client,
    *,
    values: Mapping[str, str],
    client_assertion: Secret | None = None,
) -> HttpRequest:
    """Build a request of RFC 7009, section 2.1, bent to what the definition says."""
    way = provider.revocation
    headers, credentials = authenticate_client(way.client_auth or provider.client_auth, client, client_assertion)
    words = {**values, **words_of(client), "token": token.reveal(), "token_type_hint": hint}
    fields = {**credentials, **fill_params(way.params, words)}
    headers |= {name: fill(value, words) for name, value in {**provider.headers, **way.headers}.items()}
    return render_request(provider, way.method, way.request_format or provider.request_format, url, headers, fields)


def classify_revocation(reply: HttpReply, provider: Provider, asked: Asked) -> Revocation:
    """Say what a revocation endpoint's answer means; never raises."""
    words = read_error(parse_body(reply) or {}, reply.status)
    if reply.status in SUCCESS and not words.is_error:
        return Revoked()
    if not _GONE.isdisjoint(words.codes):
        return Revoked()
    outcome = classify_reply(reply, provider, asked)
    if isinstance(outcome, Refreshed):  # an access token beside an error
        return NotRevoked("unreadable_reply")
    return NotRevoked(outcome.reason)
