"""Read a mailbox over IMAP: the line that XOAUTH2 wants, made of the document when it is needed.

    CONNECTION=gmail-alice USER=alice@example.com python imap_xoauth2.py

Google wants the scope https://mail.google.com/, Microsoft https://outlook.office.com/IMAP.AccessAsUser.All. A server
that refuses the token says so in a challenge (`{"status":"400"...}`, the 401 of IMAP), and imaplib raises: read once
more, and if the token is the same, ask for a refresh as google_auth_refresh_handler.py does. An open connection
outlives its token.
"""

import imaplib
import json
import os

import google.auth
from google.cloud import secretmanager


def read_token(project: str, connection: str) -> str:
    name = f"projects/{project}/secrets/{connection}-access-token/versions/latest"
    payload = secretmanager.SecretManagerServiceClient().access_secret_version(name=name).payload.data
    return json.loads(payload)["access_token"]


def xoauth2(user: str, token: str) -> bytes:
    """Build the line; imaplib and smtplib encode it by themselves.

    https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
    """
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


if __name__ == "__main__":
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or google.auth.default()[1]
    user, connection = os.environ["USER"], os.environ["CONNECTION"]
    with imaplib.IMAP4_SSL(os.environ.get("IMAP_HOST", "imap.gmail.com")) as mailbox:
        mailbox.authenticate("XOAUTH2", lambda _challenge: xoauth2(user, read_token(project, connection)))
        mailbox.select("INBOX", readonly=True)
        print(mailbox.search(None, "UNSEEN")[1][0].decode())
