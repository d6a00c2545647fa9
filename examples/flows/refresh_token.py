"""A refresh token in Python, done right: who sends what, and what a refusal means.

    python refresh_token.py client_secret.json refresh_token.txt

client_secret.json is the file of the OAuth client that the *refresh token was issued to*; refresh_token.txt holds the
refresh token (Google's begin with `1//`), neither the code of the consent (`4/...`) nor an access token (`ya29...`).
"""

import json
import sys
from pathlib import Path
from urllib.parse import unquote

from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials

SUBTYPES = {
    "invalid_rapt": "the Workspace administrator wants users to sign in again after some hours: ask for an exemption",
    "rapt_required": "likewise: consent alone does not last",
}
ERRORS = {
    "invalid_grant": "the grant is gone: the owner must consent again (docs/invalid-grant.md says how to tell why)",
    "invalid_client": "client id or secret is wrong: it is not the owner's doing, and consenting again does not help",
    "unauthorized_client": "the refresh token belongs to another client: use the client that it was issued to",
    "invalid_scope": "ask for no more than was consented to: leave scopes out of the refresh",
}


def refresh(client_file: str, token_file: str) -> Credentials:
    """Exchange the refresh token once; exit with what a refusal means."""
    document = json.loads(Path(client_file).read_text())
    client = document.get("web") or document["installed"]
    # From a URL or a log it may have come percent-encoded, from a terminal with white space.
    refresh_token = unquote(Path(token_file).read_text().strip())
    if refresh_token.startswith(("ya29.", "4/")):
        raise SystemExit("This is an access token or an authorization code, not a refresh token.")
    credentials = Credentials(
        None,
        refresh_token=refresh_token,
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        token_uri=client["token_uri"],
    )
    try:
        credentials.refresh(Request())
    except RefreshError as refusal:
        answer = refusal.args[1] if len(refusal.args) > 1 and isinstance(refusal.args[1], dict) else {}
        # 5xx, HTML from a proxy: google-auth raises the same exception, and not all of them are `retryable`.
        if refusal.retryable or "error" not in answer:
            raise SystemExit("The provider has trouble: try again later, with the same refresh token.") from None
        error, subtype = answer.get("error", ""), answer.get("error_subtype", "")
        meaning = SUBTYPES.get(subtype) or ERRORS.get(error) or "see the provider's documentation"
        raise SystemExit(f"{error} {subtype}".strip() + f": {meaning}") from None
    if credentials.refresh_token != refresh_token:
        # Most providers but Google replace it at each use: the old one is dead, this one must be stored now.
        Path(token_file).write_text(credentials.refresh_token)
    return credentials


if __name__ == "__main__":
    print("valid until", refresh(*sys.argv[1:3]).expiry, "UTC")
