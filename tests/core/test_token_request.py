from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from token_refresh.core.grant import Client, RefreshTokenGrant, ServiceAccountGrant
from token_refresh.core.http import HttpRequest
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret, redact
from token_refresh.core.token_endpoint.request import (
    basic_credentials,
    build_assertion_params,
    build_client_assertion_claims,
    build_client_credentials_params,
    build_code_params,
    build_dpop_claims,
    build_refresh_params,
    build_resource_request,
    build_service_account_claims,
    build_token_request,
    forms_of,
    needs_client_secret,
)

URL = "https://a.example/token"
CLIENT = Client("id 1", Secret("s&cret:1"))
REFRESH = build_refresh_params(RefreshTokenGrant(Secret("r+1")))
ACCOUNT = ServiceAccountGrant("robot@project.example", Secret("key"))


def provider(**keys: Any) -> Provider:
    return parse_providers({"p": {"token_url": URL, **keys}})["p"]


def request(keys: dict[str, Any], params: dict[str, str] | None = None, client: Client | None = CLIENT) -> HttpRequest:
    return build_token_request(
        provider(**keys),
        URL,
        params or REFRESH,
        client,
        values={"tenant": "acme"},
        scopes=("a", "b"),
        client_assertion=Secret("assertion"),
    )


def form(request: HttpRequest) -> dict[str, str]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}


def test_a_refresh_is_a_form_with_the_client_in_the_body() -> None:
    sent = request({})
    assert (sent.method, sent.url) == ("POST", URL)
    assert form(sent) == {
        "grant_type": "refresh_token",
        "refresh_token": "r+1",
        "client_id": "id 1",
        "client_secret": "s&cret:1",
    }
    assert sent.headers["Accept"] == "application/json"
    assert sent.headers["User-Agent"] == "token-refresh"


def test_basic_encodes_both_halves_and_leaves_the_body_alone() -> None:
    sent = request({"client_auth": "client_secret_basic"})
    scheme, credentials = sent.headers["Authorization"].split()
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"id+1:s%26cret%3A1")
    assert form(sent) == {"grant_type": "refresh_token", "refresh_token": "r+1"}


def test_none_sends_the_client_id_alone() -> None:
    assert form(request({"client_auth": "none"})) == {**REFRESH, "client_id": "id 1"}


def test_private_key_jwt_sends_the_assertion_and_no_secret() -> None:
    assert form(request({"client_auth": "private_key_jwt"})) == {
        **REFRESH,
        "client_id": "id 1",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "assertion",
    }


def test_a_grant_without_a_client_sends_none() -> None:
    sent = request({}, build_assertion_params(Secret("jwt")), client=None)
    assert form(sent) == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "jwt"}


@pytest.mark.parametrize("auth", ["client_secret_post", "client_secret_basic", "private_key_jwt"])
def test_a_client_without_secrets_is_sent_as_it_is(auth: str) -> None:
    sent = build_token_request(provider(client_auth=auth), URL, REFRESH, Client("c"), values={})
    assert b"None" not in sent.body


def test_json_bodies() -> None:
    sent = request({"request_format": "json"})
    assert sent.headers["Content-Type"] == "application/json"
    assert json.loads(sent.body) == {**REFRESH, "client_id": "id 1", "client_secret": "s&cret:1"}


@pytest.mark.parametrize(("url", "begin"), [(URL, f"{URL}?"), (f"{URL}?v=1", f"{URL}?v=1&")])
def test_query_strings(url: str, begin: str) -> None:
    sent = build_token_request(provider(request_format="query"), url, REFRESH, CLIENT, values={})
    assert sent.url.startswith(begin)
    assert sent.body == b""
    assert parse_qs(urlsplit(sent.url).query)["refresh_token"] == ["r+1"]
    assert "r%2B1" not in repr(sent)


def test_parameters_are_added_templated_renamed_and_left_out() -> None:
    sent = request(
        {
            "variables": {"tenant": ""},
            "scope_separator": ",",
            "token_params": {"grant_type": "authorization_code", "audience": "https://{tenant}.api", "expiring": 1},
            "refresh_params": {"scope": "{scopes}", "client_secret": "", "app": "{client_id}", "expiring": "2"},
            "param_names": {"client_id": "client_key", "refresh_token": "token"},
        }
    )
    assert form(sent) == {
        "grant_type": "refresh_token",
        "token": "r+1",
        "client_key": "id 1",
        "audience": "https://acme.api",
        "expiring": "2",
        "scope": "a,b",
        "app": "id 1",
    }


@pytest.mark.parametrize("request_format", ["form", "query", "json"])
def test_a_parameter_with_several_values_is_repeated(request_format: str) -> None:
    keys = {
        "request_format": request_format,
        "variables": {"tenant": ""},
        "token_params": {"resource": ["https://{tenant}.api", "", "https://b.api"]},
    }
    sent = request(keys)
    if request_format == "json":
        found = json.loads(sent.body or b"")["resource"]
    else:
        found = parse_qs((sent.body or b"").decode() or urlsplit(sent.url).query)["resource"]
    assert found == ["https://acme.api", "https://b.api"]


def test_refresh_parameters_may_name_another_grant_type() -> None:
    keys = {"refresh_params": {"grant_type": "fb_exchange_token"}, "param_names": {"refresh_token": "fb"}}
    assert form(request(keys))["grant_type"] == "fb_exchange_token"


def test_token_parameters_outrank_a_code_exchange_and_refresh_parameters_stay_out_of_it() -> None:
    params = build_code_params(Secret("code"), Secret("verifier"), "https://us.example/callback")
    keys = {"token_params": {"redirect_uri": "", "type": "web"}, "refresh_params": {"type": "refresh"}}
    assert form(request(keys, params)) == {
        "grant_type": "authorization_code",
        "code": "code",
        "code_verifier": "verifier",
        "type": "web",
        "client_id": "id 1",
        "client_secret": "s&cret:1",
    }
    assert "code_verifier" not in build_code_params(Secret("code"), None, "https://us.example/callback")


def test_headers_are_templated_and_outrank_ours() -> None:
    headers = {"user-agent": "app/{client_id}", "X-Key": "{client_secret}", "X-Tenant": "{tenant}"}
    sent = request({"variables": {"tenant": ""}, "headers": headers})
    assert sent.headers["user-agent"] == "app/id 1"
    assert "User-Agent" not in sent.headers
    assert (sent.headers["X-Key"], sent.headers["X-Tenant"]) == ("s&cret:1", "acme")


def test_client_credentials_ask_for_scopes_when_there_are_any() -> None:
    assert build_client_credentials_params(provider(), ()) == {"grant_type": "client_credentials"}
    params = build_client_credentials_params(provider(scope_separator=","), ("a", "b"))
    assert params == {"grant_type": "client_credentials", "scope": "a,b"}


def test_a_service_account_asserts_itself_for_an_hour() -> None:
    assert build_service_account_claims(ACCOUNT, URL, ("a", "b"), None, 1000.9) == {
        "iss": "robot@project.example",
        "scope": "a b",
        "aud": URL,
        "iat": 1000,
        "exp": 4600,
    }
    assert build_service_account_claims(ACCOUNT, URL, (), "ada@example.com", 0)["sub"] == "ada@example.com"


def test_a_resource_is_asked_for_with_the_headers_that_name_nothing_of_a_connection() -> None:
    headers = {"X-Version": "1", "X-Client": "{client_id}"}
    definition = Provider("acme", "https://a.example/t", "https://a.example/t", headers=headers)
    bare = build_resource_request(definition, "https://a.example/me", None)
    assert bare == HttpRequest("GET", "https://a.example/me", bare.headers)
    assert {"X-Version", "X-Client", "Authorization"} & bare.headers.keys() == {"X-Version"}
    asked = build_resource_request(definition, "https://a.example/me", Secret("token"))
    assert asked.headers["Authorization"] == "Bearer token"


def test_a_client_assertion_is_short_lived_and_unique() -> None:
    claims = build_client_assertion_claims("c", URL, "unique", 1000)
    assert claims == {"iss": "c", "sub": "c", "aud": URL, "jti": "unique", "iat": 1000, "exp": 1300}


def test_a_proof_names_method_and_url_without_its_query() -> None:
    claims = build_dpop_claims("POST", f"{URL}?refresh_token=x", "unique", 1000.5, None)
    assert claims == {"jti": "unique", "htm": "POST", "htu": URL, "iat": 1000}
    assert build_dpop_claims("POST", URL, "unique", 1000, "n")["nonce"] == "n"


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ({}, True),
        ({"client_auth": "client_secret_basic"}, True),
        ({"client_auth": "none"}, False),
        ({"client_auth": "private_key_jwt"}, False),
        ({"client_auth": "none", "headers": {"Authorization": "Bearer {client_secret}"}}, True),
    ],
)
def test_a_client_secret_is_needed_where_the_request_carries_it(keys: dict[str, Any], *, needed: bool) -> None:
    assert needs_client_secret(provider(**keys)) is needed


def test_a_secret_is_masked_in_every_form_in_which_it_may_come_back() -> None:
    secret = Secret('a+b/c "d"')
    text = 'plain a+b/c "d", form a%2Bb%2Fc+%22d%22, url a%2Bb%2Fc%20%22d%22, json a+b/c \\"d\\"'
    assert redact(text, forms_of([secret, None])) == "plain ***, form ***, url ***, json ***"
    text = 'net a%2bb%2fc+%22d%22, url a%2Bb/c%20%22d%22, json a+b\\/c \\"d\\"'
    assert redact(text, forms_of([secret])) == "net ***, url ***, json ***"
    assert redact("bad secret: s3cret", forms_of([Secret("s3cret\n")])) == "bad secret: ***", "as pasted"
    assert basic_credentials(CLIENT).reveal() in {form.reveal() for form in forms_of([basic_credentials(CLIENT)])}
