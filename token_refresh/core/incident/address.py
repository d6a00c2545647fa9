"""An owner's e-mail address: exactly one, or none. What is anything else is not written to (contract 8).

A message to an owner carries a link that stores a grant. So nothing that a mail program could take for two addresses,
for a display name, a comment or a route passes; a person with such an address is told by the operators.
"""

from __future__ import annotations

import re
from typing import Final

# Stands for the address in a notification URL; a URL with it reaches the owner and nobody else.
OWNER: Final = "{owner}"
# RFC 5321, sections 4.1.2 (Dot-string) and 4.5.3.1 (lengths). Not `%` and `!`: relays have taken them for routes.
_LOCAL: Final = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_LONGEST_LOCAL: Final = 64
_LONGEST: Final = 254


def parse_address(text: str) -> str | None:
    """Return the address as it stands on the wire, an international domain in its ASCII form; None for anything else.

    The local part keeps its spelling: RFC 5321 leaves its case to the receiver.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        return None
    ascii_domain = _ascii(domain)
    if ascii_domain is None or not _DOMAIN.fullmatch(ascii_domain):
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address) <= _LONGEST else None


def _ascii(domain: str) -> str | None:
    """Encode an international domain; None for one that would become another (IDNA 2003 makes "ss" of "ß")."""
    if domain.isascii():
        return domain
    try:
        encoded = domain.encode("idna")
        is_same = encoded.decode("idna").lower() == domain.lower()
    except UnicodeError:  # also a label that is empty or too long
        return None
    return encoded.decode("ascii") if is_same else None
