from __future__ import annotations

import pytest

from token_refresh.core.provider.definition import ANY, Params, Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.provider.url import (
    check_template,
    ending_variables,
    fill_params,
    fill_url,
    host_variables,
    is_loopback,
    is_secure,
    is_variable_value,
    learned_variables,
    templates_of,
    token_endpoint_host,
)
from token_refresh.errors import Misconfigured


@pytest.mark.parametrize("value", [".", "..", "a/b", "a b", "a\n", "é", "a" * 254, "a:80", "a@b", "%2e", "a?b", "a#b"])
def test_a_value_that_could_leave_its_place_is_recognised(value: str) -> None:
    assert not is_variable_value(value)


@pytest.mark.parametrize(
    ("template", "url"),
    [
        pytest.param("https://{tenant}.example.com/t", "https://acme.example.com/t", id="label"),
        pytest.param("https://example.com/{tenant}/t", "https://example.com/acme/t", id="path"),
        pytest.param("https://example.com/t?tenant={tenant}", "https://example.com/t?tenant=acme", id="query"),
        pytest.param("http://{tenant}.localhost:8080/t", "http://acme.localhost:8080/t", id="loopback name"),
        pytest.param("http://127.0.0.1:8080/{tenant}", "http://127.0.0.1:8080/acme", id="loopback address"),
        pytest.param("http://[::1]:8080/{tenant}", "http://[::1]:8080/acme", id="IPv6 loopback"),
    ],
)
def test_a_template_is_filled(template: str, url: str) -> None:
    assert fill_url(template, Provider("p", template, template), {"tenant": "acme"}) == url


@pytest.mark.parametrize("value", ["a..b", ".a", "a.", "a" * 64])
def test_a_value_that_makes_no_host_name_is_refused(value: str) -> None:
    template = "https://{tenant}.example.com/t"
    with pytest.raises(Misconfigured, match="do not make a host name"):
        fill_url(template, Provider("p", template, template), {"tenant": value})


def test_http_is_for_loopback_only_even_when_a_variable_says_where() -> None:
    template = "http://{host}:1/t"
    provider = Provider("p", template, template)
    with pytest.raises(Misconfigured, match="only https"):
        fill_url(template, provider, {"host": "idp.example.com"})
    assert fill_url(template, provider, {"host": "127.0.0.1"}) == "http://127.0.0.1:1/t"


@pytest.mark.parametrize(
    ("template", "in_host", "ending"),
    [
        pytest.param("https://{a}.example.com/{b}", {"a"}, set(), id="label"),
        pytest.param("https://{a}-api.example.com/t", {"a"}, set(), id="part of a label"),
        pytest.param("https://{a}/t", {"a"}, {"a"}, id="whole host"),
        pytest.param("https://{a}:8443/t", {"a"}, {"a"}, id="whole host with port"),
        pytest.param("https://login.{a}/t", {"a"}, {"a"}, id="end of the host"),
        pytest.param("https://{a}.com/t", {"a"}, {"a"}, id="in front of a public suffix"),
        pytest.param("https://{a}example.com/t", {"a"}, {"a"}, id="glued to a domain"),
        pytest.param("https://{a}.{b}/t", {"a", "b"}, {"a", "b"}, id="in front of a variable"),
        pytest.param("https://{a}.{b}.example.com/t", {"a", "b"}, set(), id="two labels"),
        pytest.param("https://example.com/{a}?b={b}", set(), set(), id="path and query"),
        pytest.param("http://{a}.localhost/t", {"a"}, set(), id="loopback name"),
    ],
)
def test_variables_in_a_host_and_at_its_end_are_known(template: str, in_host: set[str], ending: set[str]) -> None:
    provider = Provider("p", "https://fixed.example/t", "https://fixed.example/t", issuer=template)
    assert (set(host_variables(provider)), set(ending_variables(provider))) == (in_host, ending)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("ftp://example.com/t", "https://"),
        ("example.com/t", "https://"),
        ("https://example.com/a b", "https://"),
        ("https://example.com/é", "https://"),
        ("https:///t", "name a host"),
        ("https://user@example.com/t", "no user name"),
        ("https://example.com:{port}/t", "number as port"),
        ("https://example.com/t#f", "fragment"),
        ("https://{tenant}-corp/t", "literal suffix with a dot"),
    ],
)
def test_a_template_that_cannot_be_a_provider_url_is_refused_at_load(template: str, fault: str) -> None:
    assert fault in (check_template(template) or "")


@pytest.mark.parametrize("template", ["https://{a}{b}.example.com/t", "http://{host}/t", "http://localhost/t"])
def test_a_template_that_may_be_a_provider_url_passes(template: str) -> None:
    assert check_template(template) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("notlocalhost", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_parameters_are_filled_and_empty_values_of_a_list_left_out() -> None:
    params: Params = {"a": "{x}", "b": ("{x}", "{y}", "c"), "d": "{y}"}
    assert fill_params(params, {"x": "1", "y": ""}) == {"a": "1", "b": ("1", "c"), "d": ""}
    assert list(templates_of(params)) == ["{x}", "{x}", "{y}", "c", "{y}"]


def test_every_url_of_a_definition_is_looked_at() -> None:
    keys = ("token_url", "refresh_url", "authorization_url", "revocation_url", "issuer", "probe_url", "userinfo")
    table: dict[str, object] = {key: f"https://{{{key}}}.example.com/" for key in keys}
    table["subject"] = {"from": "userinfo", "url": table.pop("userinfo")}
    provider = parse_providers({"p": {**table, "variables": dict.fromkeys(keys, "")}})["p"]
    assert host_variables(provider) == set(keys)


ZOHO_EU = {"accounts-server": "accounts.zoho.eu"}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        pytest.param({"accounts-server": "https://accounts.zoho.eu"}, ZOHO_EU, id="an address"),
        pytest.param({"accounts-server": "accounts.zoho.eu"}, ZOHO_EU, id="a host"),
        pytest.param({"accounts-server": "https://accounts.zoho.eu/"}, ZOHO_EU, id="an address with a slash"),
        pytest.param({"accounts-server": "https://accounts.zoho.evil"}, {}, id="not listed"),
        pytest.param({"realmId": "9130"}, {"realmId": "9130"}, id="any"),
        pytest.param({"realmId": "a/b"}, {}, id="leaves its place"),
        pytest.param({"realmId": ""}, {}, id="empty"),
        pytest.param({"domain": "accounts.zoho.eu", "instance": "evil", "code": "c"}, {}, id="nothing to learn"),
    ],
)
def test_a_callback_teaches_what_the_definition_lists_and_nothing_else(
    told: dict[str, str], kept: dict[str, str]
) -> None:
    provider = Provider(
        "p",
        "",
        "",
        variables={"domain": "accounts.zoho.com", "instance": "", "accounts-server": ""},
        keep=("realmId",),
        learned={"accounts-server": ("accounts.zoho.eu", "accounts.zoho.in"), "realmId": ANY},
    )
    assert learned_variables(provider, told) == kept


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("http://a.example/token", False, id="http"),
        pytest.param("http://{tenant}.a.example/token", False, id="http with a variable"),
        pytest.param("https://a.example/token", True, id="https"),
        pytest.param("http://127.0.0.1:8080/token", True, id="loopback"),
        pytest.param("http://localhost/token", True, id="localhost"),
        pytest.param("https:///token", False, id="no host"),
        pytest.param("nonsense", False, id="no URL"),
    ],
)
def test_a_template_without_tls_is_recognised(template: str, *, expected: bool) -> None:
    assert is_secure(template) is expected


@pytest.mark.parametrize(
    ("keys", "variables", "host"),
    [
        pytest.param({"token_url": "https://a.example/token"}, {}, "a.example", id="a-host"),
        pytest.param({"token_url": "https://a.example:8443/token"}, {}, "a.example:8443", id="with-its-port"),
        pytest.param(
            {"token_url": "https://a.example/token", "refresh_url": "https://b.example/refresh"},
            {},
            "b.example",
            id="where-refreshes-go",
        ),
        pytest.param(
            {"token_url": "https://{shop}.example/token", "variables": {"shop": ""}},
            {"shop": "acme"},
            "acme.example",
            id="a-variable",
        ),
        pytest.param(
            {"token_url": "https://{shop}.example/token", "variables": {"shop": "eu"}},
            {},
            "eu.example",
            id="its-default",
        ),
        pytest.param(
            {"token_url": "https://{shop}.example/token", "variables": {"shop": "eu"}},
            {"shop": "us"},
            "us.example",
            id="which-the-connection-s-own-outranks",
        ),
        pytest.param(
            {"token_url": "https://{shop}.example/token", "variables": {"shop": ""}}, {}, "(shop).example", id="unknown"
        ),
    ],
)
def test_requests_are_paced_by_the_host_that_they_go_to(
    keys: dict[str, object], variables: dict[str, str], host: str
) -> None:
    assert token_endpoint_host(parse_providers({"p": keys})["p"], variables) == host
