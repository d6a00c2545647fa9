"""Who decides where a secret goes: the definition, the registration and the payload, never an annotation alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.boundary_requests import OWN, PROVIDERS, TOKEN
from token_refresh.core.boundaries import (
    check_registration,
    check_subject,
    is_named_after,
    reserved_secrets,
    resolve,
    start_anew,
)
from token_refresh.core.connection import Connection, SecretRecord, parse_connection
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.secrecy import Secret
from token_refresh.errors import Misconfigured

# -- a registration belongs to its provider --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret_id", "provider", "belongs"),
    [
        ("oauth-client-google", "google", True),
        ("oauth-client-google-workspace", "google", True),
        ("oauth-client-googled", "google", False),
        ("oauth-client-", "google", False),
        ("google", "google", False),
        ("my-oauth-client-google", "google", False),
        ("oauth-client-google", "okta", False),
        ("oauth-client-salesforce-sandbox", "salesforce-sandbox", True),
        ("oauth-client-salesforce-sandbox-2", "salesforce-sandbox", True),
        ("oauth-client-salesforce-sandbox", "salesforce", False),
        ("oauth-client-salesforce-sandbox-2", "salesforce", False),
        ("oauth-client-salesforce-sand", "salesforce", True),
        ("oauth-client-salesforce", "salesforce-sandbox", False),
    ],
)
def test_a_registration_belongs_to_the_longest_provider_that_its_id_names(
    secret_id: str, provider: str, *, belongs: bool
) -> None:
    assert is_named_after(secret_id, PROVIDERS[provider]) is belongs


@pytest.mark.parametrize(
    ("secret_id", "says", "belongs"),
    [
        pytest.param("team-client", (), False, id="silent"),
        pytest.param("team-client", ("okta",), True, id="says so"),
        pytest.param("team-client", ("google", "okta"), True, id="one of several"),
        pytest.param("team-client", ("google",), False, id="says another"),
        pytest.param("oauth-client-google", ("okta",), True, id="said beside its name"),
        pytest.param("oauth-client-okta", ("google",), True, id="named beside what it says"),
        pytest.param("oauth-client-google", (), False, id="named after another"),
    ],
)
def test_a_registration_may_say_to_which_providers_it_belongs(
    secret_id: str, says: tuple[str, ...], *, belongs: bool
) -> None:
    client = Client("c", Secret("s"), providers=says, variables={"org": "acme"})
    asked = build_token_request(PROVIDERS["okta"], TOKEN, client, client_secret_id=secret_id)
    if belongs:
        assert resolve(PROVIDERS["okta"].token_url, asked)[0] == "https://acme.okta.example.com/token"
        return
    with pytest.raises(Misconfigured, match="does not belong to provider okta"):
        resolve(PROVIDERS["okta"].token_url, asked)


@pytest.mark.parametrize("kind", ["refresh token", "client credentials"])
@pytest.mark.parametrize(
    ("provider", "says", "belongs"),
    [
        pytest.param("google", (), True, id="silent, fixed hosts"),
        pytest.param("microsoft", (), True, id="silent, a variable in a path"),
        pytest.param("okta", (), False, id="silent, a variable in a host"),
        pytest.param("salesforce", (), False, id="silent, a host that is a variable"),
        pytest.param("okta", ("okta",), True, id="says so"),
        pytest.param("google", ("okta",), False, id="says another, fixed hosts"),
    ],
)
def test_a_payloads_own_client_belongs_where_it_says_or_to_fixed_hosts(
    kind: str, provider: str, says: tuple[str, ...], *, belongs: bool
) -> None:
    own = Client("own", Secret("s"), providers=says)
    grant: Grant = (
        RefreshTokenGrant(Secret("r"), client=own) if kind == "refresh token" else ClientCredentialsGrant(own)
    )
    asked = build_token_request(PROVIDERS[provider], grant, client_secret_id="oauth-client-anything")
    if belongs:
        check_registration(asked)
        return
    with pytest.raises(Misconfigured, match=f"payload of some-refresh-token does not say .* provider {provider}"):
        check_registration(asked)


@pytest.mark.parametrize(("provider", "belongs"), [("google", True), ("microsoft", False)])
def test_a_registration_that_is_labelled_as_a_connection_stays_its_providers(provider: str, *, belongs: bool) -> None:
    asked = build_token_request(PROVIDERS[provider], ClientCredentialsGrant(OWN))
    record = SecretRecord("oauth-client-google", {}, {}, "")
    asked = replace(asked, connection=replace(asked.connection, record=record))
    if belongs:
        check_registration(asked)
        return
    with pytest.raises(Misconfigured, match="payload of oauth-client-google"):
        check_registration(asked)


def test_a_key_without_a_client_belongs_to_any_provider() -> None:
    check_registration(build_token_request(PROVIDERS["google"], ServiceAccountGrant("a@b", Secret("k"))))


# -- a service account -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "subjects", "allowed"),
    [
        (None, (), True),
        ("ada@example.com", ("ada@example.com",), True),
        ("Ada@Example.com", ("ada@example.com", "b@example.com"), True),
        ("ceo@example.com", ("*",), True),
        ("ceo@example.com", (), False),
        ("ceo@example.com", ("ada@example.com",), False),
        ("ceo@example.com", ("ada@example.com", "*"), False),
        ("\u212aim@example.com", ("kim@example.com",), False),  # KELVIN SIGN, whose lower case is k
        ("kim@example.com", ("\u212aim@example.com",), False),  # nor does a list that holds it
        ("\u212aim@example.com", ("\u212aim@example.com",), True),  # as it is written, it is itself
        ("*", ("*",), False),
        ("*", (), False),
    ],
)
def test_a_key_stands_only_for_whom_it_lists(owner: str | None, subjects: tuple[str, ...], *, allowed: bool) -> None:
    grant = ServiceAccountGrant("a@b", Secret("k"), subjects=subjects)
    asked = build_token_request(PROVIDERS["google"], grant, owner=owner)
    if allowed:
        check_subject(asked)
        return
    with pytest.raises(Misconfigured):
        check_subject(asked)


def test_a_grant_of_another_kind_has_no_subjects() -> None:
    check_subject(build_token_request(PROVIDERS["google"], TOKEN, owner="ceo@example.com"))


# -- secrets that receive no access token ----------------------------------------------------------------------------


def test_no_access_token_is_written_to_a_connection_secret_or_a_registration() -> None:
    def declared(secret_id: str, **notes: str) -> Connection:
        annotations = {f"token-refresh.{name}": value for name, value in notes.items()}
        found = parse_connection(SecretRecord(secret_id, {"token-refresh": "enabled"}, annotations, ""))
        assert found is not None
        return found

    alice, bob = declared("alice"), declared("bob-refresh-token", client="alice-access-token")
    reserved = reserved_secrets([alice, bob, declared("bob-access-token")])
    assert set(reserved) == {
        "alice",
        "bob-refresh-token",
        "bob-access-token",
        "oauth-client-google",
        "alice-access-token",
    }
    assert alice.access_token_secret_id in reserved
    assert reserved["alice-access-token"].endswith(
        "gcloud secrets update bob-refresh-token --remove-annotations=token-refresh.client"
    )
    assert reserved["bob-access-token"].endswith("gcloud secrets update bob-access-token --remove-labels=token-refresh")


# -- a new consent ---------------------------------------------------------------------------------------------------


def test_a_new_consent_starts_without_what_a_callback_brought() -> None:
    grant = RefreshTokenGrant(Secret("r"), variables={"server": "accounts.zoho.eu", "x": "y"})
    fresh = start_anew(build_token_request(PROVIDERS["zoho"], grant, OWN))
    assert isinstance(fresh.grant, RefreshTokenGrant)
    assert fresh.grant.variables == {}


def test_a_payloads_own_client_keeps_its_own_words_at_a_new_consent() -> None:
    own = Client("own", Secret("s"), providers=("zoho",), variables={"server": "accounts.zoho.eu", "tenant": "acme"})
    fresh = start_anew(build_token_request(PROVIDERS["zoho"], RefreshTokenGrant(Secret("r"), client=own)))
    assert fresh.client is not None
    assert fresh.client.variables == {"tenant": "acme"}
    assert fresh.client.providers == ("zoho",)


def test_a_consent_without_anything_before_it_starts_as_it_is() -> None:
    asked = build_token_request(PROVIDERS["zoho"], None, OWN)
    assert start_anew(asked) == asked
