"""Who decides where a secret goes: the definition, the registration and the payload, never an annotation alone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.token_requests import build_token_request
from token_refresh.core.boundaries import (
    check_registration,
    check_subject,
    is_named_after,
    reserved_secrets,
    resolve,
    resolve_variables,
    start_anew,
)
from token_refresh.core.connection import Connection, SecretRecord, parse_connection
from token_refresh.core.grant import Client, ClientCredentialsGrant, Grant, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured

TOKEN = RefreshTokenGrant(Secret("r"))
OWN = Client("own", Secret("s"))
PROVIDERS = parse_providers(
    {
        "google": {"token_url": "https://oauth2.example/token"},
        "okta": {"token_url": "https://{org}.okta.example.com/token", "variables": {"org": ""}},
        "salesforce": {"token_url": "https://{domain}/token", "variables": {"domain": "login.example.com"}},
        "salesforce-sandbox": {"extends": "salesforce", "variables": {"domain": "test.example.com"}},
        "microsoft": {"token_url": "https://login.example.com/{tenant}/token", "variables": {"tenant": "common"}},
        "zoho": {
            "token_url": "https://{server}/token",
            "variables": {"server": "accounts.zoho.com", "shop": ""},
            "learned": {"server": ["accounts.zoho.eu", "accounts.zoho.in"], "shop": "*"},
        },
    }
)


def request(  # noqa: PLR0913 - where values may come from
    provider: str | Provider,
    *,
    annotation: dict[str, str] | None = None,
    registered: dict[str, str] | None = None,
    allowed: dict[str, tuple[str, ...]] | None = None,
    learned: dict[str, str] | None = None,
    defaults: dict[str, str] | None = None,
) -> TokenRequest:
    definition = PROVIDERS[provider] if isinstance(provider, str) else provider
    if defaults is not None:
        definition = parse_providers({"p": {"token_url": definition.token_url, "variables": defaults}})["p"]
    client = Client("c", Secret("s"), variables=registered or {}, allowed_variables=allowed or {})
    grant = RefreshTokenGrant(Secret("r"), variables=learned or {})
    return build_token_request(definition, grant, client, variables=annotation)


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


# -- variables -------------------------------------------------------------------------------------------------------


def test_in_a_path_the_nearest_source_wins() -> None:
    def url(**sources: Any) -> str:
        asked = request("microsoft", **sources)
        return resolve(asked.provider.token_url, asked)[0].split("/")[3]

    assert url(annotation={"tenant": "annotated"}, registered={"tenant": "registered"}) == "annotated"
    assert url(annotation={"tenant": ""}, registered={"tenant": "registered"}) == "registered"
    assert url(learned={"tenant": "learned"}) == "common", "a callback teaches only what the definition lists"
    assert url() == "common"


@pytest.mark.parametrize(
    ("sources", "org"),
    [
        pytest.param({"registered": {"org": "acme"}}, "acme", id="registered"),
        pytest.param({"registered": {"org": "acme"}, "annotation": {"org": "acme"}}, "acme", id="annotation agrees"),
        pytest.param(
            {"registered": {"org": "acme"}, "annotation": {"org": "umbrella"}, "allowed": {"org": ("umbrella",)}},
            "umbrella",
            id="annotation chooses",
        ),
        pytest.param({"annotation": {"org": "any"}, "allowed": {"org": ("*",)}}, "any", id="annotation is free"),
    ],
)
def test_a_label_in_a_host_is_the_registrations_or_chosen_among_what_it_allows(sources: Any, org: str) -> None:
    asked = request("okta", **sources)
    assert resolve(asked.provider.token_url, asked)[0] == f"https://{org}.okta.example.com/token"


@pytest.mark.parametrize(
    ("provider", "sources"),
    [
        pytest.param("okta", {"annotation": {"org": "evil"}}, id="a label"),
        pytest.param("okta", {"annotation": {"org": "evil"}, "registered": {"org": "acme"}}, id="beside a value"),
        pytest.param("okta", {"annotation": {"org": "evil"}, "allowed": {"org": ("acme",)}}, id="not in the list"),
        pytest.param("okta", {"annotation": {"org": "evil"}, "allowed": {"other": ("*",)}}, id="another variable"),
        pytest.param("okta", {"annotation": {"org": "*"}, "allowed": {"org": ("a", "*")}}, id="a star in a list"),
        pytest.param("salesforce", {"annotation": {"domain": "evil.example"}}, id="a whole host"),
        pytest.param(
            "salesforce",
            {"annotation": {"domain": "evil.example"}, "allowed": {"domain": ("*",)}},
            id="a whole host is never free",
        ),
    ],
)
def test_an_annotation_never_chooses_a_host_that_the_registration_does_not_allow(provider: str, sources: Any) -> None:
    asked = request(provider, **sources)
    with pytest.raises(Misconfigured, match=r"may not choose|not of the form"):
        resolve(asked.provider.token_url, asked)


def test_a_whole_host_may_be_chosen_from_a_list() -> None:
    asked = request(
        "salesforce", annotation={"domain": "eu.example.com"}, allowed={"domain": ("eu.example.com", "us.example.com")}
    )
    assert resolve(asked.provider.token_url, asked)[0] == "https://eu.example.com/token"


@pytest.mark.parametrize(
    ("sources", "server"),
    [
        pytest.param({"learned": {"server": "accounts.zoho.eu"}}, "accounts.zoho.eu", id="learned"),
        pytest.param({"learned": {"server": "evil.example"}}, "accounts.zoho.com", id="poisoned"),
        pytest.param(
            {"learned": {"server": "accounts.zoho.eu"}, "registered": {"server": "accounts.zoho.in"}},
            "accounts.zoho.in",
            id="never above the registration",
        ),
        pytest.param(
            {
                "learned": {"server": "accounts.zoho.eu"},
                "annotation": {"server": "accounts.zoho.jp"},
                "allowed": {"server": ("accounts.zoho.jp",)},
            },
            "accounts.zoho.jp",
            id="never above the annotation",
        ),
    ],
)
def test_what_a_callback_brought_counts_as_far_as_the_definition_lists_it(sources: Any, server: str) -> None:
    asked = request("zoho", **sources)
    assert resolve(asked.provider.token_url, asked)[0] == f"https://{server}/token"


def test_what_a_callback_has_just_told_outranks_what_an_earlier_one_had() -> None:
    asked = request("zoho", learned={"server": "accounts.zoho.eu", "shop": "s1"})
    told = {"server": "https://accounts.zoho.in", "shop": "../x"}
    assert resolve_variables(replace(asked, told=told)) == {"server": "accounts.zoho.in", "shop": ""}


def test_a_variable_of_no_url_is_free_and_learned() -> None:
    assert resolve_variables(request("zoho", learned={"shop": "s1"}))["shop"] == "s1"
    assert resolve_variables(request("zoho", learned={"shop": "s1"}, annotation={"shop": "s2"}))["shop"] == "s2"


@pytest.mark.parametrize("value", [".", "..", "a/b", "a b", "é", "a:80", "a@b", "%2e", "a?b", "a#b", "a" * 254])
@pytest.mark.parametrize("source", ["annotation", "registered"])
def test_a_value_that_could_leave_its_place_is_refused(value: str, source: str) -> None:
    with pytest.raises(Misconfigured, match="not of the form"):
        resolve_variables(request("microsoft", **{source: {"tenant": value}}))  # type: ignore[arg-type]


def test_a_key_without_a_client_takes_the_definitions_host_only() -> None:
    key = ServiceAccountGrant("a@b", Secret("k"))
    provider = PROVIDERS["salesforce"]
    assert resolve(provider.token_url, build_token_request(provider, key))[0] == "https://login.example.com/token"
    asked = build_token_request(provider, key, variables={"domain": "evil.example"})
    with pytest.raises(Misconfigured, match="takes no other"):
        resolve(provider.token_url, asked)
    with pytest.raises(Misconfigured, match="takes the definition's default only"):
        resolve(PROVIDERS["okta"].token_url, build_token_request(PROVIDERS["okta"], key))


def test_a_missing_value_says_where_to_set_it() -> None:
    with pytest.raises(Misconfigured, match=r"org has no value: it stands in a host\. gcloud secrets versions access"):
        resolve(PROVIDERS["okta"].token_url, request("okta"))
    provider = parse_providers({"p": {"token_url": "https://a.example/{t}", "variables": {"t": ""}}})["p"]
    with pytest.raises(Misconfigured, match=r"variable t has no value: set it in token-refresh\.variables"):
        resolve(provider.token_url, request(provider))


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


# -- the commands that mend ------------------------------------------------------------------------------------------


def command_of(fault: BaseException) -> tuple[str, str]:
    """Return the secret and the jq program of the command that a message ends with, as a shell reads them."""
    command = str(fault)[str(fault).index("gcloud secrets versions access") :]
    script = 'gcloud() { if [ "$3" = access ]; then echo "$5"; else cat >/dev/null; fi; }; jq() { echo "$1" >&2; }; '
    done = subprocess.run(["/bin/bash", "-c", script + command], capture_output=True, text=True, check=True, timeout=10)
    secret_id = command.split("--secret=")[1].split()[0]
    assert command.endswith(f"gcloud secrets versions add {secret_id} --data-file=-")
    return secret_id, done.stderr.strip()


def fault_of(asked: TokenRequest) -> Misconfigured:
    try:
        check_subject(asked)
        resolve(asked.provider.token_url, asked)
    except Misconfigured as fault:
        return fault
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    ("asked", "secret_id", "program"),
    [
        pytest.param(
            build_token_request(PROVIDERS["google"], TOKEN, OWN, client_secret_id="team"),
            "team",
            '.provider = "google"',
            id="another name",
        ),
        pytest.param(
            build_token_request(
                PROVIDERS["google"], TOKEN, Client("c", Secret("s"), providers=("o'k",)), client_secret_id="team"
            ),
            "team",
            '.provider = ["o\'k", "google"]',
            id="another provider",
        ),
        pytest.param(
            build_token_request(PROVIDERS["okta"], ClientCredentialsGrant(OWN)),
            "some-refresh-token",
            '.provider = "okta"',
            id="own client",
        ),
        pytest.param(
            request("okta", annotation={"org": "umbrella"}),
            "oauth-client-okta",
            '.allowed_variables.org = ([.allowed_variables.org // empty] | flatten) + ["umbrella"]',
            id="a choice",
        ),
        pytest.param(request("okta"), "oauth-client-okta", '.variables.org = "VALUE"', id="no value"),
        pytest.param(
            build_token_request(
                PROVIDERS["google"], ServiceAccountGrant("a@b", Secret("k")), owner="x'; rm -rf / #@example.com"
            ),
            "some-refresh-token",
            '.subjects = ([.subjects // empty] | flatten) + ["x\'; rm -rf / #@example.com"]',
            id="an owner that is none",
        ),
        pytest.param(
            build_token_request(PROVIDERS["google"], ServiceAccountGrant("a@b", Secret("k")), owner="x\x1b[2J"),
            "some-refresh-token",
            '.subjects = ([.subjects // empty] | flatten) + ["OWNER"]',
            id="an owner that cannot be printed",
        ),
    ],
)
def test_a_refusal_ends_with_the_command_that_allows_it(asked: TokenRequest, secret_id: str, program: str) -> None:
    assert command_of(fault_of(asked)) == (secret_id, program)


def test_a_variable_whose_name_has_a_dash_is_quoted_for_jq() -> None:
    table = {"token_url": "https://{accounts-server}/t", "variables": {"accounts-server": ""}}
    provider = parse_providers({"p": table})["p"]
    _, program = command_of(fault_of(request(provider, annotation={"accounts-server": "a.example"})))
    assert program.startswith('.allowed_variables["accounts-server"] = ')
    assert json.loads(program.split(" + ")[1]) == ["a.example"]
