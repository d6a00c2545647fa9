"""A provider's table with every key, and one fault of each kind with the words that name it."""

from __future__ import annotations

import pytest

URL = "https://a.example/token"

EVERY_KEY = """
[p]
token_url = "https://{tenant}.example.com/token"
refresh_url = "https://{tenant}.example.com/refresh"
authorization_url = "https://{tenant}.example.com/authorize"
revocation_url = "https://{tenant}.example.com/{client_id}/revoke"
issuer = "https://{tenant}.example.com"
variables = { tenant = "acme", region = "" }
client_auth = "private_key_jwt"
request_format = "query"
refresh_method = "GET"
token_params = { audience = "https://{tenant}.api", max_age = 60, expiring = true }
refresh_params = { scope = "{scopes}", resource = ["https://{tenant}.api", "https://b.api"] }
authorization_params = { prompt = "consent", claims = '{"userinfo": {}}' }
headers = { User-Agent = "app/{client_id}" }
param_names = { client_id = "client_key" }
scope_separator = ","
pkce = false
openid = true
rotates_refresh_tokens = "never"
response = { access_token = "data.token", expires_in = "data.ttl" }
keep = ["instance_url", "team.id"]
default_expires_in = 1800
refresh_before_expiry = 60
refresh_token_lifetime = 86400
refresh_token_idle_lifetime = 3600
dead_errors = ["gone"]
client_errors = ["bad_key"]
admin_errors = ["blocked"]
transient_errors = ["busy"]
learned = { region = "*", tenant = ["acme", "umbrella"], instance_url = "*" }
probe_url = "https://{tenant}.example.com/probe"
refresh_token_lifetime_from = "consent"
title = "P of Example"
verified_usernames = true
iss_required = true
subject = { from = "userinfo", url = "https://{tenant}.example.com/me", path = "user.id" }

[p.revocation]
method = "DELETE"
tokens = "access_token"
client_auth = "none"
request_format = "json"
params = { t = "{token}" }
headers = { X-Tenant = "{tenant}" }
"""
FAULTS = [
    pytest.param("tokenurl", URL, "p.tokenurl: is not a key of a provider definition", id="unknown key"),
    pytest.param("token_url", 1, "p.token_url: must be a string", id="url type"),
    pytest.param("token_url", "ftp://a.example/t", "p.token_url: must be an https:// URL", id="ftp"),
    pytest.param("token_url", "https://{x}.a.example/", "p.token_url: {x} is not declared", id="undeclared"),
    pytest.param("client_auth", "digest", "p.client_auth: must be one of client_secret_post", id="auth"),
    pytest.param("client_auth", ["none"], "p.client_auth: must be one of", id="auth type"),
    pytest.param("refresh_method", "PUT", "p.refresh_method: must be one of POST, GET", id="method"),
    pytest.param("refresh_method", "GET", 'p.refresh_method: "GET" needs request_format = "query"', id="get"),
    pytest.param("request_format", "xml", "p.request_format: must be one of form, json, query", id="format"),
    pytest.param("rotates_refresh_tokens", True, "p.rotates_refresh_tokens: must be one of", id="rotates"),
    pytest.param("pkce", "yes", "p.pkce: must be true or false", id="flag"),
    pytest.param("default_expires_in", 0, "p.default_expires_in: must be a positive", id="seconds zero"),
    pytest.param("refresh_before_expiry", "60", "p.refresh_before_expiry: must be a positive", id="seconds text"),
    pytest.param("refresh_token_lifetime", True, "p.refresh_token_lifetime: must be", id="seconds bool"),
    pytest.param("dead_errors", "gone", "p.dead_errors: must be a list of strings", id="list"),
    pytest.param("dead_errors", [" "], "p.dead_errors: must be a list of strings", id="list of blanks"),
    pytest.param("keep", ["a..b"], "p.keep: 'a..b' is not a dotted path", id="path"),
    pytest.param("keep", ["refresh_token"], "p.keep: 'refresh_token' holds the refresh token", id="keep token"),
    pytest.param("token_params", ["a"], "p.token_params: must be a table", id="table"),
    pytest.param("token_params", {"a": [1]}, "p.token_params.a: must be a string or a list", id="list value"),
    pytest.param("token_params", {"a": []}, "p.token_params.a: must be a string or a list", id="empty list"),
    pytest.param("token_params", {"a": 1.5}, "p.token_params.a: must be a string", id="table value"),
    pytest.param("token_params", {"a": ["b", "{x}"]}, "p.token_params.a: {x} is not", id="list variable"),
    pytest.param("learned", ["realmId"], "p.learned: must be a table", id="learned type"),
    pytest.param("title", " ", "p.title: must be a string of one line", id="title"),
    pytest.param("refresh_token_lifetime_from", "now", "p.refresh_token_lifetime_from: must be", id="life from"),
    pytest.param("token_params", {"a": "{x}"}, "p.token_params.a: {x} is not declared", id="param variable"),
    pytest.param("token_params", {"": "x"}, "p.token_params: a parameter has no name", id="param name"),
    pytest.param("headers", {"Host": "a"}, "p.headers.Host: cannot be set", id="our header"),
    pytest.param("headers", {"A B": "a"}, "p.headers.A B: cannot be set", id="header name"),
    pytest.param("headers", {"A": "a\r\nB: c"}, "p.headers.A: must be printable ASCII", id="header value"),
    pytest.param("param_names", {"a": ""}, "p.param_names: a parameter's new name is empty", id="empty name"),
    pytest.param("param_names", {"a": "c", "b": "c"}, "p.param_names: gives two parameters", id="same name"),
    pytest.param("param_names", {"code": "scope"}, "p.param_names: gives two parameters", id="taken name"),
    pytest.param("scope_separator", "", "p.scope_separator: must be a string", id="separator"),
    pytest.param("response", {"token": "a"}, "p.response.token: must be one of access_token", id="response key"),
    pytest.param("response", {"scope": "a b"}, "p.response.scope: is not a dotted path", id="response path"),
    pytest.param("variables", {"a b": ""}, "p.variables.a b: is not a name", id="variable name"),
    pytest.param("variables", {"client_id": ""}, "p.variables.client_id: is not a name", id="reserved name"),
    pytest.param("variables", {"a": "../b"}, "p.variables.a: the default must be", id="variable default"),
    pytest.param("subject", "sub", "p.subject: must be a table", id="subject type"),
    pytest.param("subject", {"path": "sub"}, "p.subject.from: must be one of", id="subject from"),
    pytest.param("subject", {"from": "mail"}, "p.subject.from: must be one of id_token", id="subject source"),
    pytest.param("subject", {"from": "userinfo"}, "p.subject.url: belongs to", id="subject without url"),
    pytest.param("subject", {"from": "token_response", "url": URL}, "p.subject.url: belongs to", id="subject url"),
    pytest.param("subject", {"from": "id_token"}, 'p.subject.from: "id_token" needs openid', id="no openid"),
    pytest.param("subject", {"from": "token_response", "path": 1}, "p.subject.path: is no", id="subject path"),
    pytest.param("subject", {"from": "token_response", "x": 1}, "p.subject.x: is not a key", id="subject key"),
    pytest.param("revocation", "x", "p.revocation: must be a table", id="revocation type"),
    pytest.param("revocation", {"method": "PUT"}, "p.revocation.method: must be one of", id="revocation method"),
    pytest.param("revocation", {"client_auth": "x"}, "p.revocation.client_auth: must be one of", id="its auth"),
    pytest.param("revocation", {"url": URL}, "p.revocation.url: is not a key", id="revocation key"),
    pytest.param("revocation", {"params": {"a": "{b}"}}, "p.revocation.params.a: {b} is not", id="its params"),
    pytest.param(
        "revocation_url",
        "https://{client_id}.example.com/",
        "p.revocation_url: {client_id} is not",
        id="client as host",
    ),
    pytest.param("extends", "nobody", "p.extends: there is no other provider 'nobody'", id="extends"),
    pytest.param("extends", 1, "p.extends: there is no other provider 1", id="extends type"),
]
