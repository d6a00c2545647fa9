"""Read a mailbox with a token that is read from Secret Manager: google-auth asks for it whenever it needs one.

    CONNECTION=gmail-alice REFRESH_TOPIC=token-refresh python google_auth_refresh_handler.py

The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token and, to ask
for a refresh after a 401, roles/pubsub.publisher on the topic (leave REFRESH_TOPIC unset where it may not).
"""

import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import google.auth
from google.auth.exceptions import RefreshError
from google.cloud import pubsub_v1, secretmanager
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build


class ConnectionToken:
    """A refresh handler: google-auth calls it before the first request, 3:45 min before the end, and after a 401."""

    def __init__(self, project: str, connection: str, refresh_topic: str = "") -> None:
        self._secret = f"projects/{project}/secrets/{connection}-access-token/versions/latest"
        self._project, self._connection, self._topic = project, connection, refresh_topic
        self._secrets = secretmanager.SecretManagerServiceClient()
        self._last = ""
        self._asked = 0.0

    def __call__(self, request: object, scopes: Sequence[str] | None = None) -> tuple[str, datetime]:
        """Return the newest token and its end, which google-auth wants as naive UTC."""
        document = self._read()
        if document["access_token"] == self._last:
            # Read once more, and still the one that did not work: ask for another, and wait for it.
            document = self._ask_for_another()
        self._last = document["access_token"]
        return self._last, datetime.fromtimestamp(document["expires_at"], UTC).replace(tzinfo=None)

    def _read(self) -> dict:
        return json.loads(self._secrets.access_secret_version(name=self._secret).payload.data)

    def _ask_for_another(self) -> dict:
        if self._topic and time.monotonic() - self._asked > 60:
            self._asked = time.monotonic()
            publisher = pubsub_v1.PublisherClient()
            message = json.dumps({"connections": [self._connection], "force": True}).encode()
            publisher.publish(publisher.topic_path(self._project, self._topic), message).result(timeout=30)
            for _ in range(30):
                document = self._read()
                if document["access_token"] != self._last:
                    return document
                time.sleep(2)
        raise RefreshError(
            f"The access token of {self._connection} is refused and there is no newer one. The newest event about "
            f"{self._connection} on the topic token-refresh-events says why and what to do; so does the status page."
        )


_, project = google.auth.default()
handler = ConnectionToken(
    os.environ.get("GOOGLE_CLOUD_PROJECT") or project, os.environ["CONNECTION"], os.environ.get("REFRESH_TOPIC", "")
)
# Pickling drops the handler: set `credentials.refresh_handler` again after unpickling (Beam, Spark, Celery).
credentials = Credentials(token=None, refresh_handler=handler)
messages = build("gmail", "v1", credentials=credentials).users().messages()
for found in messages.list(userId="me", maxResults=5).execute().get("messages", []):
    message = messages.get(userId="me", id=found["id"], format="metadata", metadataHeaders=["Subject"]).execute()
    print(message["payload"]["headers"][0]["value"])
