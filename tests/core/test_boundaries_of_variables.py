"""Where the value of a variable comes from, and who may choose one that stands in a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.boundary_requests import PROVIDERS, request
from token_refresh.core.boundaries import resolve, resolve_variables
from token_refresh.core.connection import SecretRecord, choose_variables, parse_connection
from token_refresh.core.grant import ServiceAccountGrant
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.errors import Misconfigured

_CHOOSE = "gcloud secrets update some-refresh-token --update-annotations='^;^token-refresh.variables=%s'"


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
    with pytest.raises(Misconfigured, match=r"variable t has no value: set it in the client registration or") as fault:
        resolve(provider.token_url, request(provider))
    assert str(fault.value).endswith(_CHOOSE % '{"t": "VALUE"}')


def test_a_value_of_the_registration_is_mended_there() -> None:
    with pytest.raises(Misconfigured) as fault:
        resolve_variables(request("microsoft", registered={"tenant": "a/b"}))
    mend = "| jq '.variables.tenant = \"VALUE\"' | gcloud secrets versions add oauth-client-microsoft --data-file=-"
    assert str(fault.value).endswith(mend)


@pytest.mark.parametrize(
    ("annotation", "variables"),
    [
        pytest.param('{"tenant": "a/b"}', '{"tenant": "VALUE"}', id="value"),
        pytest.param("tenant=acme", '{"NAME": "VALUE"}', id="not-json"),
        pytest.param('{"\\n": "a/b"}', '{"NAME": "VALUE"}', id="a-name-that-cannot-be-shown"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_mended_by_its_command(annotation: str, variables: str) -> None:
    notes = {"token-refresh.variables": annotation}
    found = parse_connection(SecretRecord("some-refresh-token", {"token-refresh": "enabled"}, notes, ""))
    assert found is not None
    assert (found.problem or "").endswith(_CHOOSE % variables)


def test_where_there_is_no_variable_to_choose_the_annotation_goes() -> None:
    remove = "gcloud secrets update some-refresh-token --remove-annotations=token-refresh.variables"
    assert choose_variables("some-refresh-token", []) == remove
