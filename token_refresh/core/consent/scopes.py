"""What a scope allows, as a sentence for owners: ``gmail.readonly`` is "Read your mail and settings in Gmail"."""

from __future__ import annotations

from typing import Final

from token_refresh.core.consent.scope_sentences import BY_PROVIDER, EVERYWHERE

# What stands before a scope's name at a provider that writes it as a URL.
_PREFIXES: Final = ("https://www.googleapis.com/auth/", "https://graph.microsoft.com/")


def sentence_for(provider: str, scope: str) -> str | None:
    """Say what a scope of a provider (its key) allows; None for one that is not known, to be shown as it is.

    A key such as `zoho-eu` stands for the same service as its beginning, unless it has a table of its own.
    """
    sentences = BY_PROVIDER.get(provider) or BY_PROVIDER.get(provider.partition("-")[0], {})
    for prefix in _PREFIXES:
        if found := sentences.get(scope.removeprefix(prefix)):
            return found
    return EVERYWHERE.get(scope)
