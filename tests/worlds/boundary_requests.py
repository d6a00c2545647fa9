"""Token requests whose values come from everywhere that a value may come from."""

from __future__ import annotations

from tests.fakes.token_requests import build_token_request
from token_refresh.core.grant import Client, RefreshTokenGrant
from token_refresh.core.provider.definition import Provider
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_request import TokenRequest

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
