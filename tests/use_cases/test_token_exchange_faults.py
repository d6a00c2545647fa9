"""What can be found before anything is sent is found before: client, keys, variables, scopes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.fakes.token_requests import build_token_request
from tests.worlds.exchanges import CLIENT, GRANT, RSA_KEY, Script, endpoint, pem, provider
from token_refresh.core.grant import Client, ServiceAccountGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured

FAULTS: dict[str, tuple[TokenRequest, str]] = {
    "no client": (build_token_request(provider(), GRANT), "no client registration"),
    "no secret": (build_token_request(provider(), GRANT, Client("c")), 'of c: provider p needs "client_secret"'),
    "no secret for a header": (
        build_token_request(
            provider(client_auth="none", headers={"Authorization": "Bearer {client_secret}"}), GRANT, Client("c")
        ),
        'needs "client_secret"',
    ),
    "a secret that breaks headers": (
        build_token_request(
            provider(client_auth="none", headers={"Authorization": "Bearer {client_secret}"}),
            GRANT,
            Client("c", Secret("canary\n")),
        ),
        "client_secret has characters that cannot stand in a header",
    ),
    "no key": (
        build_token_request(provider(client_auth="private_key_jwt"), GRANT, CLIENT),
        'of client: provider p needs "private_key"',
    ),
    "a key that is none": (
        build_token_request(
            provider(client_auth="private_key_jwt"), GRANT, Client("c", private_key=Secret("-----BEGIN canary"))
        ),
        "client registration of c: private_key is not an RSA or EC",
    ),
    "a key of another kind": (
        build_token_request(
            provider(), GRANT, Client("c", Secret("s"), dpop_private_key=pem(ed25519.Ed25519PrivateKey.generate()))
        ),
        "dpop_private_key is not an RSA or EC",
    ),
    "a client id that breaks headers": (
        build_token_request(provider(), GRANT, Client("c\r\nX: canary", Secret("s"))),
        "client_id has characters",
    ),
    "a service account's key": (
        build_token_request(provider(), ServiceAccountGrant("a@b", Secret("canary")), scopes=("a",)),
        "the service account's private_key is not an RSA",
    ),
    "a service account without scopes": (
        build_token_request(provider(), ServiceAccountGrant("a@b", RSA_KEY)),
        "a service account needs token-refresh.scopes",
    ),
    "an unknown variable": (
        build_token_request(provider(), GRANT, CLIENT, variables={"tennant": "a"}),
        "provider p has no variable tennant: gcloud secrets update some-refresh-token --remove-annotations=",
    ),
    "an unknown variable beside known ones": (
        build_token_request(provider(variables={"t": "a", "u": ""}), GRANT, CLIENT, variables={"tennant": "a"}),
        """--update-annotations='^;^token-refresh.variables={"t": "VALUE", "u": "VALUE"}'""",
    ),
    "a bad variable": (
        build_token_request(
            provider(token_url="https://a.example/{t}", variables={"t": ""}),
            GRANT,
            CLIENT,
            variables={"t": "../canary"},
        ),
        "the value of variable t is not of the form",
    ),
    "a missing variable": (
        build_token_request(provider(token_url="https://a.example/{t}", variables={"t": ""}), GRANT, CLIENT),
        "variable t has no value",
    ),
    "a missing variable of the refresh url": (
        build_token_request(provider(refresh_url="https://a.example/{t}", variables={"t": ""}), GRANT, CLIENT),
        "variable t has no value",
    ),
    "no grant": (build_token_request(provider(), None, CLIENT), "connection some has no grant"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_can_be_found_before_sending_is_found_before_sending(name: str) -> None:
    request, message = FAULTS[name]
    script = Script()
    with pytest.raises(Misconfigured, match=r".") as caught:
        endpoint(script).refresh(request)
    assert message in str(caught.value)
    assert "canary" not in str(caught.value)
    assert script.sent == []
