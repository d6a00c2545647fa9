"""The URLs of a provider: templates with variables, and who may choose which part of a host.

A client secret goes wherever a token URL points. So whoever may only annotate a connection may fill a path, or a label
in front of a domain that the definition names (``{tenant}.example.com``); a variable that *is* the end of the host is
filled by the definition's default or by the client registration, that is, by people who hold the client secret anyway.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from token_refresh.core.provider.definition import Params, Provider

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_VALUE = re.compile(r"[A-Za-z0-9.-]{1,253}")
_AUTHORITY = re.compile(r"^(https?)://([^/?#]*)(.*)$", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9_.{}-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_PORT = re.compile(r":[0-9]+$")
_LONGEST_HOST: Final = 253  # RFC 1035, section 2.3.4, as text
_LONGEST_LABEL: Final = 63
_RESERVED: Final = "localhost"  # RFC 6761: never anybody else's domain


class UrlError(ValueError):
    """A URL cannot be built or may not be used; the message names the variable and what to do."""


def variables_of(template: str) -> Iterator[str]:
    """Yield the names of the variables in a template, in order."""
    return (match[1] for match in _PLACEHOLDER.finditer(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each ``{name}`` that `values` knows; other braces stay (JSON in a parameter is not a template)."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def fill_params(params: Params, values: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    """Fill every parameter's template; of a list, the values that are empty are left out."""
    return {
        name: fill(value, values) if isinstance(value, str) else tuple(filter(None, (fill(v, values) for v in value)))
        for name, value in params.items()
    }


def templates_of(params: Params) -> Iterator[str]:
    """Yield the templates of a table of parameters, each value of a list on its own."""
    for value in params.values():
        yield from (value,) if isinstance(value, str) else value


def is_variable_value(value: str) -> bool:
    """Tell whether a value may stand in a URL: ``[A-Za-z0-9.-]{1,253}``, never a dot segment."""
    return _VALUE.fullmatch(value) is not None and value not in {".", ".."}


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine (RFC 8252, section 8.3; RFC 6761 for ``localhost``)."""
    if host == _RESERVED or host.endswith("." + _RESERVED):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_template(template: str) -> str | None:
    """Name what is wrong with a URL template in a definition, or return None."""
    match = _AUTHORITY.match(template)
    if match is None or not (template.isascii() and template.isprintable()) or " " in template:
        return "must be an https:// URL"
    _, authority, rest = match.groups()
    if not _HOST.fullmatch(authority):
        return "must name a host, with a number as port, and no user name"
    if "#" in rest:
        return "must have no fragment (RFC 6749, section 3.2)"
    host = _without_port(authority)
    for placeholder in _PLACEHOLDER.finditer(host):
        suffix = host[placeholder.end() :]
        if suffix and "." not in _PLACEHOLDER.sub("", suffix) and not suffix.startswith("{"):
            return f"{placeholder[0]} in the host must be followed by a literal suffix with a dot, or end the host"
    return None


def is_plaintext(template: str) -> bool:
    """Tell whether a URL template leads off this machine without TLS.

    No fault of the file, which would stop every connection: `resolve_url` refuses it to those that use it.
    """
    match = _AUTHORITY.match(template)
    host = _without_port(match[2]) if match else ""
    return bool(match) and template.startswith("http:") and not is_loopback(host.strip("[]").lower())


def resolve_url(
    template: str,
    provider: Provider,
    *,
    connection_variables: Mapping[str, str],
    payload_variables: Mapping[str, str],
    client_variables: Mapping[str, str],
) -> str:
    """Fill a URL template of `provider` (contract 2).

    The nearest source wins: the connection's annotation, its payload, the client registration, the definition's
    default. A variable at the end of the host takes the last two only. Raises `UrlError`.
    """
    values = resolve_values(provider, connection_variables, payload_variables, client_variables)
    trusted = resolve_values(provider, client_variables)
    ending = set(_variables_ending_host(template))
    values |= {name: trusted[name] for name in ending}
    for name in variables_of(template):
        if not values[name]:
            where = '"variables" of the client registration' if name in ending else "token-refresh.variables"
            raise UrlError(f"provider {provider.name}: variable {name} has no value: set it in {where}")
    url = fill(template, values)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not _is_host(host):
        raise UrlError(f"provider {provider.name}: its variables make no host name")
    if parts.scheme != "https" and not is_loopback(host):
        raise UrlError(f"provider {provider.name}: only https, and http for loopback")
    return url


def resolve_values(provider: Provider, *sources: Mapping[str, str]) -> dict[str, str]:
    """Return a value for each variable of `provider`: the first source's that has one, else the default.

    Raises `UrlError` for a value that may not stand in a URL.
    """
    values = {}
    for name, default in provider.variables.items():
        values[name] = next((source[name] for source in sources if source.get(name)), default)
        if values[name] and not is_variable_value(values[name]):
            raise UrlError(
                f"provider {provider.name}: the value of variable {name} is not of the form [A-Za-z0-9.-]{{1,253}}"
            )
    return values


def unknown_variables(provider: Provider, names: Mapping[str, str]) -> list[str]:
    """Return the names that `provider` does not declare, so that a typo is not a silent default."""
    return sorted(set(names) - set(provider.variables))


def learned_variables(provider: Provider, callback: Mapping[str, str]) -> dict[str, str]:
    """Return what an authorization response tells beside the code: declared variables and fields to keep.

    Zoho's `accounts-server`, QuickBooks' `realmId`: they belong into the payload's `variables`. An address is cut down
    to its host; a value that may not stand in a URL is dropped.
    """
    learned = {}
    for name in (*provider.variables, *provider.keep):
        value = callback.get(name, "").removeprefix("https://").rstrip("/")
        if is_variable_value(value):
            learned[name] = value
    return learned


def variables_in_host(template: str) -> Iterator[str]:
    """Yield the names of the variables in the host of a URL template."""
    match = _AUTHORITY.match(template)
    return variables_of(match[2]) if match else iter(())


def urls_of(provider: Provider) -> tuple[str, ...]:
    """Return every URL template of a definition."""
    subject = provider.subject.url if provider.subject else None
    named = (provider.authorization_url, provider.revocation_url, provider.issuer, provider.probe_url, subject)
    return tuple(dict.fromkeys((provider.token_url, provider.refresh_url, *(url for url in named if url))))


def _variables_ending_host(template: str) -> Iterator[str]:
    """Yield the variables behind which no registered domain follows: ``{x}``, ``{x}.com``, ``{x}example.com``."""
    match = _AUTHORITY.match(template)
    host = _without_port(match[2]) if match else template
    for placeholder in _PLACEHOLDER.finditer(host):
        # Only what follows the last variable is literal; a value ends at the first dot of it.
        suffix = _PLACEHOLDER.split(host[placeholder.end() :])[-1]
        domain = suffix.partition(".")[2]
        if "." not in domain and domain != _RESERVED:
            yield placeholder[1]


def _without_port(authority: str) -> str:
    return _PORT.sub("", authority)


def _is_host(host: str) -> bool:
    if ":" in host:  # urlsplit has taken the brackets off an IPv6 address
        return True
    labels = host.split(".")
    return len(host) <= _LONGEST_HOST and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
