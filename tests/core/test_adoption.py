"""The Terraform that `token-refresh import` prints."""

from __future__ import annotations

from token_refresh.core.adoption import build_terraform
from token_refresh.core.connection import Connection, SecretRecord, parse_connection


def connection(**annotations: str) -> Connection:
    provider = annotations.pop("provider", "google")
    labels = {"token-refresh": "enabled", "token-refresh-provider": provider}
    notes = {f"token-refresh.{key}": value for key, value in annotations.items()}
    found = parse_connection(SecretRecord("gmail-ada-refresh-token", labels, notes, ""))
    assert found
    return found


def test_it_has_the_connections_entry_and_one_import_for_each_secret() -> None:
    text = build_terraform(
        connection(owner="ada@example.com", scopes="openid email"), project="p", location="", has_own_client=False
    )
    assert (
        text
        == """\
# In the call of the module:
connections = {
  "gmail-ada" = {
    owner  = "ada@example.com"
    scopes = ["openid", "email"]
  }
}

# Beside it, until it is applied:
import {
  to = module.token_refresh.module.connection["gmail-ada"].module.grant.google_secret_manager_secret.secret[0]
  id = "projects/p/secrets/gmail-ada-refresh-token"
}
import {
  to = module.token_refresh.module.connection["gmail-ada"].module.access_token.google_secret_manager_secret.secret[0]
  id = "projects/p/secrets/gmail-ada-access-token"
}
"""
    )


def test_a_regional_connection_of_another_provider_and_client() -> None:
    text = build_terraform(
        connection(provider="crm", client="oauth-client-crm-eu"), project="p", location="eu-1", has_own_client=False
    )
    assert 'provider = "crm"\n    client   = "oauth-client-crm-eu"' in text
    assert "google_secret_manager_regional_secret.secret[0]" in text
    assert '"projects/p/locations/eu-1/secrets/gmail-ada-refresh-token"' in text


def test_what_chooses_the_urls_is_in_it() -> None:
    chosen = connection(provider="zoho", variables='{"accounts-server": "accounts.zoho.eu", "org": "a"}')
    text = build_terraform(chosen, project="p", location="", has_own_client=False)
    assert 'variables = { "accounts-server" = "accounts.zoho.eu", "org" = "a" }' in text


def test_a_payload_with_its_own_client_needs_no_registration() -> None:
    assert 'client = ""' in build_terraform(connection(), project="p", location="", has_own_client=True)


def test_nothing_in_it_is_an_expression() -> None:
    text = build_terraform(
        connection(owner='${file("/etc/passwd")}%{if true}"'), project="p", location="", has_own_client=False
    )
    assert r'owner = "$${file(\"/etc/passwd\")}%%{if true}\""' in text


def test_an_entry_may_be_empty() -> None:
    assert '"gmail-ada" = {\n  }' in build_terraform(connection(), project="p", location="", has_own_client=False)
