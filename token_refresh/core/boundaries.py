"""Where secrets may go, and for whom a key may stand (contract 2).

One principle: what decides where a secret goes, and who may read a token, stands where somebody who may only annotate
cannot write: in the provider's definition, in the client registration, or in a payload. Annotations choose among it,
and what a browser brings is kept only as far as the definition says. Every refusal names the command that mends it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from token_refresh.core.connection import ANYBODY, LABEL, PREFIX, Connection, choose_variables
from token_refresh.core.grant import RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.provider.definition import ANY, Provider
from token_refresh.core.provider.url import (
    ending_variables,
    fill_url,
    host_variables,
    is_variable_value,
    learned_variables,
)
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured

_NAMED_AFTER: Final = "oauth-client-"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolve(template: str, request: TokenRequest) -> tuple[str, Mapping[str, str]]:
    """Fill a URL template of the provider, and return the values of all its variables; raises `Misconfigured`.

    Whatever gets a client's secret or a grant gets it at a URL from here, so that no request can forget the boundaries.
    """
    check_registration(request)
    values = resolve_variables(request)
    provider = request.provider
    for name in provider.variables:
        if f"{{{name}}}" in template and not values[name]:
            raise Misconfigured(f"provider {provider.name}: variable {name} has no value: {_set(name, request)}")
    return fill_url(template, provider, values), values


def check_registration(request: TokenRequest) -> None:
    """Refuse a client that does not belong to the provider: by its secret's id, or by its own words.

    Without words of its own, a payload's client belongs to any definition whose hosts are fixed. Raises
    `Misconfigured`.
    """
    provider, client = request.provider, request.client
    secret_id = _registration(request)
    if client is None or provider.name in client.providers or is_named_after(secret_id, provider):
        return
    words = json.dumps([*client.providers, provider.name]) if client.providers else json.dumps(provider.name)
    mend = _edit(secret_id, f".provider = {words}")
    if request.has_own_client:
        is_registration = secret_id.startswith(_NAMED_AFTER)  # that somebody has labelled as a connection
        if client.providers or host_variables(provider) or is_registration:
            raise Misconfigured(
                f"the client in the payload of {secret_id} does not say that it belongs to provider {provider.name}. "
                f'If it does, and its "variables" are right: {mend}'
            )
    else:
        raise Misconfigured(
            f"client registration {secret_id} does not belong to provider {provider.name}: name another one in "
            f"token-refresh.client. If it does: {mend}"
        )


def is_named_after(secret_id: str, provider: Provider) -> bool:
    """Tell whether a registration's id names this provider, and not one whose name is longer and fits, too."""

    def fits(name: str) -> bool:
        return f"{secret_id}-".startswith(f"{_NAMED_AFTER}{name}-")

    return fits(provider.name) and not any(map(fits, provider.longer_names))


def resolve_variables(request: TokenRequest) -> dict[str, str]:
    """Return a value for each variable of the provider; the empty string for one that has none.

    In a path, the nearest source wins: annotation, registration, callback, default. In a host an annotation counts only
    as far as the registration allows. Raises `Misconfigured`.
    """
    provider, client, grant = request.provider, request.client, request.grant
    registered = client.variables if client is not None else {}
    before = grant.variables if isinstance(grant, RefreshTokenGrant) else {}
    learned = learned_variables(provider, {**before, **request.told})
    in_host = host_variables(provider)
    values = {}
    for name, default in provider.variables.items():
        trusted = registered.get(name) or learned.get(name) or default
        value = request.connection.variables.get(name) or trusted
        if value and not is_variable_value(value):  # an annotation's was looked at when it was read
            raise Misconfigured(
                f"provider {provider.name}: the value of variable {name} is not of the form [A-Za-z0-9.-]{{1,253}}: "
                + _edit(_registration(request), f'{_path("variables", name)} = "VALUE"')
            )
        if value != trusted and name in in_host and not _may_choose(request, name, value):
            raise Misconfigured(
                f"provider {provider.name}: {name} stands in a host, and token-refresh.variables may not "
                f"choose {value} for it: remove it there or, if {value} is right, {_allow(name, value, request)}"
            )
        values[name] = value
    return values


def check_subject(request: TokenRequest) -> None:
    """Refuse to let a service account stand for a user whom its key does not name; raises `Misconfigured`."""
    grant, owner = request.grant, request.connection.owner
    if not isinstance(grant, ServiceAccountGrant) or owner is None:
        return
    if owner == ANYBODY:
        raise Misconfigured('a service account cannot stand for "*": set token-refresh.owner to one user, or remove it')
    if grant.subjects == ANY or any(_is_same(owner, subject) for subject in grant.subjects):
        return
    secret_id = request.connection.secret_id
    raise Misconfigured(
        f'the service-account key in {secret_id} does not list token-refresh.owner in "subjects". If it may stand for '
        f"that user: {_edit(secret_id, _append('.subjects', owner if owner.isprintable() else 'OWNER'))}"
    )


def reserved_secrets(listed: Collection[Connection]) -> dict[str, str]:
    """Return the secrets that never receive an access token, each with the sentence that says why and what mends it.

    The label makes a secret a connection secret, an annotation makes one a client registration: a refresh that wrote
    there would bury a grant or a client.
    """
    reserved = {}
    for connection in listed:
        reserved[connection.client_secret_id] = (
            f"{connection.client_secret_id} is named as client registration by connection {connection.name}: no access "
            f"token is written to it. If it is none: gcloud secrets update {connection.secret_id} "
            f"--remove-annotations={PREFIX}client"
        )
    return reserved | {c.secret_id: reserve_connection_secret(c.secret_id) for c in listed}


def reserve_connection_secret(secret_id: str) -> str:
    """Say that a secret carries the label, so that it never receives an access token."""
    return (
        f"{secret_id} is a connection secret itself: no access token is written to it. If it is none: "
        f"gcloud secrets update {secret_id} --remove-labels={LABEL}"
    )


def start_anew(request: TokenRequest) -> TokenRequest:
    """Return the request as a new consent makes it: without what the callback of an earlier one has brought."""
    grant = request.grant
    if not isinstance(grant, RefreshTokenGrant):
        return request
    client = grant.client
    if client is not None:
        kept = {name: value for name, value in client.variables.items() if name not in request.provider.learned}
        client = replace(client, variables=kept)
    return replace(request, grant=replace(grant, variables={}, client=client))


def _may_choose(request: TokenRequest, name: str, value: str) -> bool:
    allowed = request.client.allowed_variables.get(name, ()) if request.client is not None else ()
    return value in allowed or (allowed == ANY and name not in ending_variables(request.provider))


def _is_same(owner: str, subject: str) -> bool:
    """Compare addresses: without regard to case, as Google does, where no alphabet but the Latin one plays a part."""
    if owner.isascii() and subject.isascii():
        return owner.lower() == subject.lower()
    return owner == subject


# -- the commands that mend -------------------------------------------------------------------------------------------


def _registration(request: TokenRequest) -> str:
    """Name the secret that holds the client."""
    return request.connection.secret_id if request.has_own_client else request.connection.client_secret_id


def _edit(secret_id: str, program: str) -> str:
    return (
        f"gcloud secrets versions access latest --secret={secret_id} | jq {shlex.quote(program)} "
        f"| gcloud secrets versions add {secret_id} --data-file=-"
    )


def _append(path: str, value: str) -> str:
    return f"{path} = ([{path} // empty] | flatten) + [{json.dumps(value)}]"


def _set(name: str, request: TokenRequest) -> str:
    if name not in host_variables(request.provider):
        mend = choose_variables(request.connection.secret_id, [name])
        return f"set it in the client registration or in token-refresh.variables. {mend}"
    if request.client is None:
        return "it stands in a host, and a key without a client takes the definition's default only"
    return "it stands in a host. " + _edit(_registration(request), f"{_path('variables', name)} = " + '"VALUE"')


def _allow(name: str, value: str, request: TokenRequest) -> str:
    if request.client is None:
        return "give the definition that default: a key without a client takes no other"
    return _edit(_registration(request), _append(_path("allowed_variables", name), value))


def _path(table: str, name: str) -> str:
    return f".{table}.{name}" if _IDENTIFIER.fullmatch(name) else f".{table}[{json.dumps(name)}]"
