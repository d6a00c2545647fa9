from __future__ import annotations

import pytest

from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.url import (
    UrlError,
    check_template,
    is_loopback,
    is_plaintext,
    is_variable_value,
    learned_variables,
    resolve_url,
    resolve_values,
    unknown_variables,
)

EVERYWHERE = {"tenant": "acme", "host": "idp.example.com"}


def resolve(
    template: str,
    *,
    defaults: dict[str, str] | None = None,
    annotation: dict[str, str] | None = None,
    payload: dict[str, str] | None = None,
    registration: dict[str, str] | None = None,
) -> str:
    provider = Provider("p", template, template, variables=defaults or {"tenant": "", "host": ""})
    return resolve_url(
        template,
        provider,
        connection_variables=annotation or {},
        payload_variables=payload or {},
        client_variables=registration or {},
    )


@pytest.mark.parametrize(
    ("template", "url"),
    [
        pytest.param("https://{tenant}.example.com/t", "https://acme.example.com/t", id="label"),
        pytest.param("https://{tenant}-api.example.com/t", "https://acme-api.example.com/t", id="part of a label"),
        pytest.param("https://example.com/{tenant}/t", "https://example.com/acme/t", id="path"),
        pytest.param("https://example.com/t?tenant={tenant}", "https://example.com/t?tenant=acme", id="query"),
        pytest.param("https://{tenant}.{host}.example.com/t", "https://acme.idp.example.com.example.com/t", id="two"),
        pytest.param("http://{tenant}.localhost:8080/t", "http://acme.localhost:8080/t", id="loopback name"),
        pytest.param("http://127.0.0.1:8080/{tenant}", "http://127.0.0.1:8080/acme", id="loopback address"),
        pytest.param("http://[::1]:8080/{tenant}", "http://[::1]:8080/acme", id="IPv6 loopback"),
    ],
)
def test_an_annotation_fills_paths_and_labels_in_front_of_a_named_domain(template: str, url: str) -> None:
    assert resolve(template, annotation=EVERYWHERE) == url
    assert resolve(template, payload=EVERYWHERE) == url


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("https://{host}/t", id="whole host"),
        pytest.param("https://{host}:8443/t", id="whole host with port"),
        pytest.param("https://login.{host}/t", id="end of the host"),
        pytest.param("https://{host}.com/t", id="in front of a public suffix"),
        pytest.param("https://{host}example.com/t", id="glued to a domain"),
        pytest.param("https://{tenant}.{host}/t", id="in front of a variable"),
    ],
)
def test_the_end_of_a_host_is_never_chosen_by_an_annotation_or_a_payload(template: str) -> None:
    with pytest.raises(UrlError, match=r"has no value.*client registration"):
        resolve(template, annotation=EVERYWHERE, payload=EVERYWHERE)
    trusted = resolve(template, annotation={"tenant": "evil", "host": "evil.example"}, registration=EVERYWHERE)
    assert "evil" not in trusted


def test_a_default_fills_the_end_of_a_host_whatever_an_annotation_says() -> None:
    url = resolve("https://{host}/t", defaults={"host": "idp.example.com"}, annotation={"host": "evil.example"})
    assert url == "https://idp.example.com/t"


def test_the_nearest_source_wins() -> None:
    def url(**sources: dict[str, str]) -> str:
        return resolve("https://a.example/{tenant}", defaults={"tenant": "default"}, **sources)

    ours, theirs, registered = {"tenant": "annotation"}, {"tenant": "payload"}, {"tenant": "registration"}
    assert url(annotation=ours, payload=theirs, registration=registered).endswith("/annotation")
    assert url(payload=theirs, registration=registered).endswith("/payload")
    assert url(registration=registered).endswith("/registration")
    assert url(annotation={"tenant": ""}).endswith("/default")


@pytest.mark.parametrize("value", [".", "..", "a/b", "a b", "a\n", "é", "a" * 254, "a:80", "a@b", "%2e", "a?b", "a#b"])
def test_a_value_that_could_leave_its_place_is_refused(value: str) -> None:
    assert not is_variable_value(value)
    with pytest.raises(UrlError, match="not of the form"):
        resolve("https://a.example/{tenant}/t", annotation={"tenant": value})


@pytest.mark.parametrize("value", ["a..b", ".a", "a.", "a" * 64])
def test_a_value_that_makes_no_host_name_is_refused(value: str) -> None:
    with pytest.raises(UrlError, match="no host name"):
        resolve("https://{tenant}.example.com/t", annotation={"tenant": value})


def test_http_is_for_loopback_only_even_when_a_variable_says_where() -> None:
    with pytest.raises(UrlError, match="only https"):
        resolve("http://{host}/t", registration={"host": "idp.example.com"})
    assert resolve("http://{host}:1/t", registration={"host": "127.0.0.1"}) == "http://127.0.0.1:1/t"


def test_a_missing_value_says_where_to_set_it() -> None:
    with pytest.raises(UrlError, match=r"provider p: variable tenant has no value: set it in token-refresh\.variables"):
        resolve("https://{tenant}.example.com/t")


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


def test_a_variable_nobody_declared_is_noticed() -> None:
    provider = Provider("p", "", "", variables={"tenant": ""})
    assert unknown_variables(provider, {"tenant": "a", "tennant": "b"}) == ["tennant"]


def test_values_for_templates_come_from_the_same_sources() -> None:
    provider = Provider("p", "", "", variables={"tenant": "common", "other": ""})
    assert resolve_values(provider, {}, {"tenant": "acme"}) == {"tenant": "acme", "other": ""}


def test_a_callback_teaches_declared_variables_and_fields_to_keep() -> None:
    provider = Provider("p", "", "", variables={"domain": "accounts.zoho.com"}, keep=("accounts-server", "realmId"))
    callback = {"accounts-server": "https://accounts.zoho.eu", "realmId": "123", "code": "secret", "domain": "a b"}
    assert learned_variables(provider, callback) == {"accounts-server": "accounts.zoho.eu", "realmId": "123"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("http://a.example/token", True, id="http"),
        pytest.param("http://{tenant}.a.example/token", True, id="http with a variable"),
        pytest.param("https://a.example/token", False, id="https"),
        pytest.param("http://127.0.0.1:8080/token", False, id="loopback"),
        pytest.param("http://localhost/token", False, id="localhost"),
        pytest.param("nonsense", False, id="no URL"),
    ],
)
def test_a_template_without_tls_is_recognised(template: str, *, expected: bool) -> None:
    assert is_plaintext(template) is expected
