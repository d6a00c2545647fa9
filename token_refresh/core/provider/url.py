"""The URLs of a provider: templates with variables, and which of these stand in a host or end one.

A client secret goes wherever a token URL points: `boundaries` says who may choose a variable's value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from token_refresh.core.provider.definition import ANY, Params, Provider
from token_refresh.errors import Misconfigured

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_VALUE = re.compile(r"[A-Za-z0-9.-]{1,253}")
_AUTHORITY = re.compile(r"^(https?)://([^/?#]*)(.*)$", re.DOTALL)
_HOST = re.compile(r"(?:[A-Za-z0-9_.{}-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_PORT = re.compile(r":[0-9]+$")
_LONGEST_HOST: Final = 253  # RFC 1035, section 2.3.4, as text
_LONGEST_LABEL: Final = 63
_CACHED: Final = 4096  # URLs; a refresh looks at its own three times
_RESERVED: Final = "localhost"  # RFC 6761: never anybody else's domain


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


def name_params(params: Params, provider: Provider) -> dict[str, str | tuple[str, ...]]:
    """Give each parameter the provider's name for it; one whose value is empty is left out."""
    return {provider.param_names.get(name, name): value for name, value in params.items() if value}


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
    host = _host_of(template)
    for placeholder in _PLACEHOLDER.finditer(host):
        suffix = host[placeholder.end() :]
        if suffix and "." not in _PLACEHOLDER.sub("", suffix) and not suffix.startswith("{"):
            return f"{placeholder[0]} in the host must be followed by a literal suffix with a dot, or end the host"
    return None


def is_secure(template: str) -> bool:
    """Tell whether a URL, or its template, is reached by TLS, or on this machine.

    No fault of the file, which would stop every connection: `fill_url` refuses it to those that use it.
    """
    host = _host_of(template).strip("[]").lower()
    return is_loopback(host) or (host != "" and template.startswith("https:"))


def fill_url(template: str, provider: Provider, values: Mapping[str, str]) -> str:
    """Fill a URL template of `provider`; raises `Misconfigured`.

    Who may choose which value has been decided before, by `boundaries`.
    """
    url = fill(template, values)
    if fault := _fault_of(url):
        raise Misconfigured(f"provider {provider.name}: {fault}")
    return url


@lru_cache(maxsize=_CACHED)
def _fault_of(url: str) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    labels = [] if ":" in host else host.split(".")  # an IPv6 address, whose brackets urlsplit has taken off
    if len(host) > _LONGEST_HOST or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        return "its variables do not make a host name"
    if parts.scheme != "https" and not is_loopback(host):
        return "only https, and http for loopback"
    return None


def learned_variables(provider: Provider, told: Mapping[str, str]) -> dict[str, str]:
    """Return what is kept of the words that came with an authorization response: what the definition has in `learned`.

    Zoho's `accounts-server`, QuickBooks' `realmId`: they belong into the payload's `variables`, and are looked at again
    where they are used. An address is cut down to its host; a value that is not listed, or may not stand in a URL, is
    dropped.
    """
    learned = {}
    for name, values in provider.learned.items():
        value = told.get(name, "").removeprefix("https://").rstrip("/")
        if is_variable_value(value) and (values == ANY or value in values):
            learned[name] = value
    return learned


def host_variables(provider: Provider) -> frozenset[str]:
    """Return the variables that stand in a host of any of the provider's URLs."""
    return frozenset(name for url in _urls_of(provider) for name in variables_of(_authority_of(url)))


def ending_variables(provider: Provider) -> frozenset[str]:
    """Return the variables that are, or could become, the registered domain of any of the provider's hosts."""
    return frozenset(name for url in _urls_of(provider) for name in _variables_ending_host(url))


def _urls_of(provider: Provider) -> tuple[str, ...]:
    """Return every URL template of a definition."""
    subject = provider.subject.url if provider.subject else None
    named = (provider.authorization_url, provider.revocation_url, provider.issuer, provider.probe_url, subject)
    return tuple(dict.fromkeys((provider.token_url, provider.refresh_url, *(url for url in named if url))))


def _variables_ending_host(template: str) -> Iterator[str]:
    """Yield the variables behind which no registered domain follows: ``{x}``, ``{x}.com``, ``{x}example.com``."""
    host = _host_of(template)
    for placeholder in _PLACEHOLDER.finditer(host):
        # Only what follows the last variable is literal; a value ends at the first dot of it.
        suffix = _PLACEHOLDER.split(host[placeholder.end() :])[-1]
        domain = suffix.partition(".")[2]
        if "." not in domain and domain != _RESERVED:
            yield placeholder[1]


@lru_cache(maxsize=_CACHED)
def _authority_of(template: str) -> str:
    """Return host and port of a URL template; empty for what is no URL."""
    match = _AUTHORITY.match(template)
    return match[2] if match else ""


def _host_of(template: str) -> str:
    return _PORT.sub("", _authority_of(template))


def token_endpoint_host(provider: Provider, variables: Mapping[str, str]) -> str:
    """Return a name for the host of the token endpoint, good enough to pace by: what is not known stays a variable."""
    known = {**{k: v for k, v in provider.variables.items() if v}, **variables}
    host = _authority_of(provider.refresh_url)
    return fill(host, {name: known.get(name, f"({name})") for name in variables_of(host)})
