from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.worlds.provider_tables import EVERY_KEY, FAULTS, URL
from token_refresh.core.provider.definition import Provider, ResponsePaths, RevocationWay, SubjectSource
from token_refresh.core.provider.table import ProviderTableError, parse_providers
from token_refresh.core.provider.url import learned_variables


def problems_of(tables: dict[str, Any], base: dict[str, Any] | None = None) -> tuple[str, ...]:
    with pytest.raises(ProviderTableError) as caught:
        parse_providers(tables, base)
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def test_a_token_url_is_all_that_a_provider_needs() -> None:
    assert parse_providers({"p": {"token_url": URL}}) == {"p": Provider("p", URL, URL)}
    assert parse_providers({"p": {"token_url": URL}})["p"].rotates


def test_every_key_is_read() -> None:
    provider = parse_providers(tomllib.loads(EVERY_KEY))["p"]
    assert provider == Provider(
        name="p",
        token_url="https://{tenant}.example.com/token",
        refresh_url="https://{tenant}.example.com/refresh",
        authorization_url="https://{tenant}.example.com/authorize",
        revocation_url="https://{tenant}.example.com/{client_id}/revoke",
        revocation=RevocationWay(
            method="DELETE",
            tokens="access_token",
            client_auth="none",
            request_format="json",
            params={"t": "{token}"},
            headers={"X-Tenant": "{tenant}"},
        ),
        issuer="https://{tenant}.example.com",
        variables={"tenant": "acme", "region": ""},
        client_auth="private_key_jwt",
        request_format="query",
        refresh_method="GET",
        token_params={"audience": "https://{tenant}.api", "max_age": "60", "expiring": "true"},
        refresh_params={"scope": "{scopes}", "resource": ("https://{tenant}.api", "https://b.api")},
        authorization_params={"prompt": "consent", "claims": '{"userinfo": {}}'},
        headers={"User-Agent": "app/{client_id}"},
        param_names={"client_id": "client_key"},
        scope_separator=",",
        pkce=False,
        openid=True,
        rotates_refresh_tokens="never",
        response=ResponsePaths(access_token="data.token", expires_in="data.ttl"),
        keep=("instance_url", "team.id"),
        default_expires_in=1800,
        refresh_before_expiry=60,
        refresh_token_lifetime=86400,
        refresh_token_idle_lifetime=3600,
        dead_errors=("gone",),
        client_errors=("bad_key",),
        admin_errors=("blocked",),
        transient_errors=("busy",),
        learned={"region": ("*",), "tenant": ("acme", "umbrella"), "instance_url": ("*",)},
        probe_url="https://{tenant}.example.com/probe",
        refresh_token_lifetime_from="consent",
        title="P of Example",
        verified_usernames=True,
        iss_required=True,
        subject=SubjectSource("userinfo", "user.id", "https://{tenant}.example.com/me"),
    )
    assert not provider.rotates
    assert provider.shown_name == "P of Example"


def test_a_definition_knows_the_longer_names_that_begin_with_its_own() -> None:
    names = ("p", "p-demo", "p-demo-2", "pp", "other-p")
    providers = parse_providers({name: {"token_url": URL} for name in names})
    assert {name: p.longer_names for name, p in providers.items() if p.longer_names} == {
        "p": ("p-demo", "p-demo-2"),
        "p-demo": ("p-demo-2",),
    }
    assert providers["pp"].shown_name == "pp"


def test_naming_an_absolute_expiry_alone_means_it() -> None:
    provider = parse_providers({"p": {"token_url": URL, "response": {"expires_at": "until"}}})["p"]
    assert provider.response == ResponsePaths(expires_in="", expires_at="until")


@pytest.mark.parametrize(("key", "value", "problem"), FAULTS)
def test_a_fault_is_named_with_table_and_key(key: str, value: object, problem: str) -> None:
    problems = problems_of({"p": {"token_url": URL, key: value}})
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize("values", ["acme", [], ["a/b"], [".."], [1], 7])
def test_values_to_learn_are_a_star_or_a_list_of_values(values: object) -> None:
    table = {"token_url": URL, "variables": {"x": ""}, "learned": {"x": values}}
    assert problems_of({"p": table})[0].startswith('p.learned.x: must be "*" or a list of values')


def test_what_is_learned_need_not_stand_in_a_url() -> None:
    provider = parse_providers({"p": {"token_url": URL, "learned": {"realmId": "*"}}})["p"]
    assert learned_variables(provider, {"realmId": "17", "other": "x"}) == {"realmId": "17"}


@pytest.mark.parametrize("key", ["token_url", "refresh_url", "authorization_url", "probe_url", "issuer"])
def test_a_host_is_never_learned_without_a_list(key: str) -> None:
    table = {"token_url": URL, key: "https://{x}.a.example/", "variables": {"x": ""}, "learned": {"x": "*"}}
    assert problems_of({"p": table}) == ('p.learned.x: stands in a host: list its values instead of "*"',)
    table["learned"] = {"x": ["eu", "us"]}
    assert parse_providers({"p": table})["p"].learned == {"x": ("eu", "us")}


def test_all_faults_are_told_at_once() -> None:
    problems = problems_of({"p": {"pkce": 1, "hue": 2}, "Q": {"token_url": URL}, "r": "text", "s": {"token_url": URL}})
    assert [problem.partition(":")[0] for problem in problems] == ["Q", "r", "p.token_url", "p.pkce", "p.hue"]


def test_basic_authentication_excludes_another_authorization_header() -> None:
    table = {"token_url": URL, "client_auth": "client_secret_basic", "headers": {"authorization": "Bearer x"}}
    assert problems_of({"p": table}) == ('p.headers.Authorization: excludes client_auth = "client_secret_basic"',)


BASE: dict[str, Any] = {
    "base": {
        "token_url": URL,
        "refresh_url": "https://a.example/refresh",
        "headers": {"A": "1", "B": "1"},
        "dead_errors": ["gone"],
        "pkce": False,
    }
}


def test_extends_merges_tables_appends_lists_and_replaces_the_rest() -> None:
    table = {"extends": "base", "headers": {"B": "2"}, "dead_errors": ["gone", "lost"], "pkce": True}
    providers = parse_providers({"p": table}, BASE)
    assert providers["p"] == Provider(
        "p", URL, "https://a.example/refresh", headers={"A": "1", "B": "2"}, dead_errors=("gone", "lost")
    )
    assert providers["base"].headers == {"A": "1", "B": "1"}


def test_another_token_url_does_not_keep_the_refresh_url_of_its_parent() -> None:
    provider = parse_providers({"p": {"extends": "base", "token_url": "https://b.example/token"}}, BASE)["p"]
    assert provider.refresh_url == "https://b.example/token"


def test_a_table_of_the_same_name_replaces_the_built_in_one() -> None:
    assert parse_providers({"base": {"token_url": URL}}, BASE)["base"] == Provider("base", URL, URL)


def test_a_table_may_extend_the_one_that_it_replaces() -> None:
    provider = parse_providers({"base": {"extends": "base", "pkce": True}}, BASE)["base"]
    assert (provider.pkce, provider.headers) == (True, {"A": "1", "B": "1"})


def test_extends_reaches_through_several_tables() -> None:
    tables = {
        "a": {"extends": "b", "openid": True},
        "b": {"extends": "base", "token_url": "https://b.example/token"},
        "base": {"extends": "base", "scope_separator": ","},
    }
    provider = parse_providers(tables, BASE)["a"]
    assert provider.token_url == "https://b.example/token"
    assert (provider.openid, provider.scope_separator, provider.pkce) == (True, ",", False)


def test_a_circle_of_extends_is_refused() -> None:
    problems = problems_of({"a": {"extends": "b", "token_url": URL}, "b": {"extends": "a", "token_url": URL}})
    assert problems == ("a.extends: goes round in a circle", "b.extends: goes round in a circle")
    assert problems_of({"a": {"extends": "a", "token_url": URL}}) == ("a.extends: there is no other provider 'a'",)


def test_a_type_that_does_not_merge_is_replaced_and_refused() -> None:
    problems = problems_of({"p": {"extends": "base", "headers": "x", "dead_errors": "y"}}, BASE)
    assert problems == ("p.headers: must be a table", "p.dead_errors: must be a list of strings")
