"""What owners and operators read about each reason: complete, free of jargon for owners, and true to the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from token_refresh.core.incident.events import REMEDIES, remedy_for, words_for
from token_refresh.core.incident.words import OTHER
from token_refresh.providers import load_providers
from token_refresh.words import load_words

WORDS = load_words()
REASONS = set(WORDS.fixes) - {OTHER}
RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"
JARGON = re.compile(
    r"\b(grants?|tokens?|OAuth|clients?|consent|scopes?|session control|registration|the owner|configured|"
    r"refresh(ed|ing)?|secret|rotat\w+|annotation|definition)\b|://",
    re.IGNORECASE,
)


@pytest.mark.parametrize("reason", [*REMEDIES, "some_new_code"])
def test_an_owner_reads_whole_sentences_without_jargon(reason: str) -> None:
    words = WORDS.for_owner(reason, "Google")
    assert not JARGON.search(words)
    assert words[0].isupper()
    assert words.endswith(".")
    assert "{" not in words


@pytest.mark.parametrize("reason", [*REMEDIES, "some_new_code"])
def test_an_owner_is_asked_for_what_the_remedy_says_and_for_nothing_else(reason: str) -> None:
    words, remedy = WORDS.for_owner(reason, "Google"), remedy_for(reason)
    asks_to_allow, asks_to_sign_in = "allow it" in words, "sign in again now" in words
    assert (asks_to_allow, asks_to_sign_in) == (remedy == "reconsent", remedy == "reauthenticate")
    assert ("There is nothing for you to do" in words) == (remedy not in ("reconsent", "reauthenticate"))


def test_both_tables_know_every_reason() -> None:
    assert set(REMEDIES) <= set(WORDS.owners)
    assert set(REMEDIES) <= REASONS
    assert set(WORDS.owners) == set(WORDS.fixes)


def test_an_owner_reads_the_providers_title() -> None:
    assert WORDS.for_owner("revoked_or_expired", "Google").startswith("Google no longer accepts")
    assert WORDS.for_owner("revoked_or_expired").startswith("The provider no longer accepts")


@pytest.mark.parametrize("reason", [*sorted(REASONS), "some_new_code"])
def test_operators_read_what_it_means_what_to_do_and_where(reason: str) -> None:
    fix = WORDS.fix(
        reason, project="p", provider="google", connection="gmail-alice", secret="gmail-alice-refresh-token"
    )
    for sentences in (words_for(reason), fix.do):
        assert sentences[0].isupper()
        assert sentences.endswith(".")
    assert fix.where == "" or fix.where.startswith("https://")
    assert "{" not in fix.where
    assert f"\n## {fix.section}\n" in RUNBOOK.read_text()
    assert fix.anchor == fix.section.lower().replace(" ", "-")


def test_a_link_that_needs_what_is_not_known_is_left_out() -> None:
    assert WORDS.fix("misconfigured", project="p").where == ""
    assert "/secret/a%2Fb/" in WORDS.fix("misconfigured", project="p", secret="a/b").where


def test_a_dying_testing_grant_is_the_operators_to_publish_first() -> None:
    fix = WORDS.fix("testing_mode_expiry", project="p")
    assert fix.do.startswith("Publish the app first")
    assert fix.where == "https://console.cloud.google.com/auth/audience?project=p"


def test_each_developer_console_belongs_to_a_built_in_provider() -> None:
    assert set(WORDS.developers) <= set(load_providers(None))
    assert WORDS.developer_console("zoho-eu") == WORDS.developer_console("zoho") != ""
    assert WORDS.developer_console("acme") == ""
