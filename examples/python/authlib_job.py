"""Call any API with Authlib: the stored document is its token as it stands.

    CONNECTION=crm-alice API=https://api.example.com/v1/contacts python authlib_job.py

Give the session no `token_endpoint`, or Authlib refreshes by itself, and two refreshers kill single-use refresh tokens.
On a 401 this job reads once more, and fails if the token is the same; `requests_job.py` shows how to ask for a refresh.
"""

import json
import os

import google.auth
from authlib.integrations.requests_client import OAuth2Session
from google.cloud import secretmanager

project = os.environ.get("GOOGLE_CLOUD_PROJECT") or google.auth.default()[1]
connection, api = os.environ["CONNECTION"], os.environ["API"]
secrets = secretmanager.SecretManagerServiceClient()


def read() -> dict:
    """Read the newest version of the secret."""
    name = f"projects/{project}/secrets/{connection}-access-token/versions/latest"
    return json.loads(secrets.access_secret_version(name=name).payload.data)


session = OAuth2Session(token=read())


def get(url: str) -> dict:
    """GET JSON, with the newest token once the old one has ended or is refused."""
    if session.token.is_expired():
        session.token = read()
    answer = session.get(url, timeout=30)
    if answer.status_code == 401:
        refused, session.token = session.token["access_token"], read()
        if session.token["access_token"] == refused:
            raise SystemExit(
                f"The token of {connection} is refused: its newest event on token-refresh-events says why."
            )
        answer = session.get(url, timeout=30)
    answer.raise_for_status()
    return answer.json()


for item in get(api)["messages"]:
    print(get(f"{api}/{item['id']}")["payload"]["headers"][0]["value"])
