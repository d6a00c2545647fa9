"""What can be found wrong before anything is sent to a token endpoint."""

from __future__ import annotations

from token_refresh.core.boundaries import check_subject, resolve
from token_refresh.core.connection import choose_variables
from token_refresh.core.grant import ServiceAccountGrant
from token_refresh.core.provider.url import variables_of
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.request import needs_client_secret
from token_refresh.core.token_request import TokenRequest
from token_refresh.errors import Misconfigured
from token_refresh.ports import Signer


def check(request: TokenRequest, signer: Signer) -> None:
    """Check everything that a refresh needs; raises `Misconfigured` with the fault and how to mend it."""
    provider, connection, grant = request.provider, request.connection, request.grant
    unknown = sorted(connection.variables.keys() - provider.variables.keys())
    if unknown:  # a typo must not be a silent default
        mend = choose_variables(connection.secret_id, provider.variables)
        raise Misconfigured(f"token-refresh.variables: provider {provider.name} has no variable {unknown[0]}: {mend}")
    if isinstance(grant, ServiceAccountGrant):
        _check_key(grant.private_key, signer, "the service account's private_key")
        if not connection.scopes:
            raise Misconfigured("a service account needs token-refresh.scopes")
        check_subject(request)
    else:
        check_client(request, signer)
    resolve(request.endpoint, request)


def check_client(request: TokenRequest, signer: Signer) -> None:
    """Check that there is a client, and that it has what the provider's `client_auth` needs; raises `Misconfigured`."""
    provider, client = request.provider, request.require_client()
    where = f"client registration of {client.client_id}"
    if not (client.client_id.isascii() and client.client_id.isprintable()):
        raise Misconfigured("client registration: client_id has characters that RFC 6749, appendix A.1, forbids")
    if provider.client_auth == "private_key_jwt":
        if client.private_key is None:
            raise Misconfigured(f'{where}: provider {provider.name} needs "private_key" (private_key_jwt)')
        _check_key(client.private_key, signer, f"{where}: private_key")
    elif client.client_secret is None and needs_client_secret(provider):
        raise Misconfigured(f'{where}: provider {provider.name} needs "client_secret" ({provider.client_auth})')
    if client.dpop_private_key is not None:
        _check_key(client.dpop_private_key, signer, f"{where}: dpop_private_key")
    secret = client.client_secret.reveal() if client.client_secret else ""
    in_header = any("client_secret" in variables_of(template) for template in provider.headers.values())
    if in_header and not (secret.isascii() and secret.isprintable()):
        raise Misconfigured(f"{where}: client_secret has characters that cannot stand in a header")


def _check_key(key: Secret, signer: Signer, where: str) -> None:
    try:
        signer.check(key)
    except ValueError:
        # The parser's own message may quote the key.
        raise Misconfigured(f"{where} is not an RSA or EC (P-256, P-384) private key in PEM form") from None
