"""What a scope allows, as a sentence for owners: ``gmail.readonly`` is "Read your mail and settings in Gmail"."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

_SENTENCES: Final = Path(__file__).parent / "scopes.toml"
# What stands before a scope's name at a provider that writes it as a URL.
_PREFIXES: Final = ("https://www.googleapis.com/auth/", "https://graph.microsoft.com/")


def sentence_for(provider: str, scope: str) -> str | None:
    """Say what a scope of a provider (its key) allows; None for one that is not known, to be shown as it is.

    A key such as `zoho-eu` stands for the same service as its beginning, unless it has a table of its own.
    """
    tables = load_sentences()
    sentences = tables.get(provider) or tables.get(provider.partition("-")[0], {})
    for prefix in _PREFIXES:
        if found := sentences.get(scope.removeprefix(prefix)):
            return found
    return tables["everywhere"].get(scope)


@cache
def load_sentences() -> dict[str, dict[str, str]]:
    """Read the sentences, by provider and scope; those of `everywhere` hold at any provider."""
    return tomllib.loads(_SENTENCES.read_text("utf-8"))
