"""What people read about a reason: owners what happened to their permission, operators what would mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from token_refresh.core.provider.url import fill

OTHER: Final = "other"  # has the words for a reason without its own: a provider's error code


@dataclass(frozen=True, slots=True)
class Fix:
    """What would mend it: what to do, where (a link or empty), and the runbook's section on it (a heading or empty)."""

    do: str
    where: str = ""
    section: str = ""

    @property
    def anchor(self) -> str:
        """Return the section's anchor, as GitHub makes it of the heading."""
        return self.section.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Words:
    """The words by reason, as templates, and where OAuth clients are registered, by provider."""

    owners: Mapping[str, str]
    fixes: Mapping[str, Fix]
    developers: Mapping[str, str]

    def for_owner(self, reason: str, provider: str = "") -> str:
        """Say what a reason means for the owner and what to do now; `provider` is the provider's title ("Google")."""
        words = fill(self.owners.get(reason, self.owners[OTHER]), {"provider": provider or "the provider"})
        return words[:1].upper() + words[1:]

    def fix(self, reason: str, *, project: str, provider: str = "", connection: str = "", secret: str = "") -> Fix:
        """Say what a reason asks of operators; a link that names a fact which is not known is left out.

        `provider` is its key, `secret` the connection secret's id, which a client's event does not have.
        """
        fix = self.fixes.get(reason, self.fixes[OTHER])
        facts = {"project": project, "connection": connection, "secret": secret}
        facts = {name: quote(value, safe="") for name, value in facts.items()}
        facts["developers"] = self.developer_console(provider)
        known = all(value for name, value in facts.items() if f"{{{name}}}" in fix.where)
        return replace(fix, where=fill(fix.where, facts) if known else "")

    def developer_console(self, provider: str) -> str:
        """Return where the OAuth clients of a provider are registered; empty for one that is not known."""
        return self.developers.get(provider) or self.developers.get(provider.partition("-")[0], "")


def parse_words(tables: Mapping[str, Any]) -> Words:
    """Read the words; sentences that several reasons share stand in `phrases`, and may name others before them."""
    phrases: dict[str, str] = {}
    for name, phrase in tables["phrases"].items():
        phrases[name] = fill(phrase, phrases)
    links, reasons = tables["links"], tables["reasons"]
    return Words(
        {reason: fill(said["owner"], phrases) for reason, said in reasons.items()},
        {
            reason: Fix(fill(said["do"], phrases), links.get(said.get("where"), ""), said["section"])
            for reason, said in reasons.items()
        },
        tables["developers"],
    )
