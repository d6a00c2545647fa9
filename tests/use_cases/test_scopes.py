"""Scopes as sentences: the usual ones of the twenty most used providers, free of jargon."""

from __future__ import annotations

import re

import pytest

from token_refresh.providers import load_providers
from token_refresh.words import load_scopes, sentence_for

EVERYWHERE = load_scopes()["everywhere"]
BY_PROVIDER = {provider: scopes for provider, scopes in load_scopes().items() if provider != "everywhere"}
ALL = [(provider, scope) for provider, scopes in BY_PROVIDER.items() for scope in scopes]


@pytest.mark.parametrize(
    ("provider", "scope", "sentence"),
    [
        ("google", "https://www.googleapis.com/auth/gmail.readonly", "Read your mail and settings in Gmail"),
        ("google", "gmail.readonly", "Read your mail and settings in Gmail"),
        ("google", "https://mail.google.com/", "Read, write, send and delete all your mail in Gmail"),
        ("microsoft", "https://graph.microsoft.com/Mail.Read", "Read your mail"),
        ("microsoft", "Mail.Read", "Read your mail"),
        ("zoho-eu", "ZohoCRM.modules.READ", "See your data in Zoho CRM"),
        ("acme", "openid", "Know who you are"),
        ("acme", "gmail.readonly", None),
        ("google", "https://www.googleapis.com/auth/unheard.of", None),
        ("", "", None),
    ],
)
def test_a_scope_reads_as_a_sentence(provider: str, scope: str, sentence: str | None) -> None:
    assert sentence_for(provider, scope) == sentence


def test_twenty_providers_and_more_are_covered_and_all_are_built_in() -> None:
    assert len(BY_PROVIDER) >= 20
    assert set(BY_PROVIDER) <= set(load_providers(None))


@pytest.mark.parametrize(("provider", "scope"), [*ALL, *(("acme", scope) for scope in EVERYWHERE)])
def test_a_sentence_is_short_plain_and_fits_a_list(provider: str, scope: str) -> None:
    sentence = sentence_for(provider, scope)
    assert sentence
    assert sentence[0].isupper()
    assert not sentence.endswith(".")
    assert len(sentence) <= 80
    assert not re.search(r"\b(scopes?|tokens?|grants?|OAuth|API)\b|://", sentence)
