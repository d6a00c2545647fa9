"""Call any API with a token that is read from Secret Manager: `requests` and forty lines, for providers of all kinds.

    CONNECTION=crm-alice API=https://api.example.com/v1/contacts REFRESH_TOPIC=token-refresh python requests_job.py

The job's service account needs roles/secretmanager.secretAccessor on the secret crm-alice-access-token and, to ask for
a refresh after a 401, roles/pubsub.publisher on the topic.
"""

import json
import os
import time

import google.auth
import requests
from google.cloud import pubsub_v1, secretmanager

project = os.environ.get("GOOGLE_CLOUD_PROJECT") or google.auth.default()[1]
connection, topic = os.environ["CONNECTION"], os.environ.get("REFRESH_TOPIC", "")
secrets = secretmanager.SecretManagerServiceClient()


class ConnectionAuth(requests.auth.AuthBase):
    """Puts the newest token on each request; keeps it while it has more than a minute to live."""

    def __init__(self) -> None:
        self.document: dict = {}

    def read(self) -> str:
        """Read the newest version of the secret."""
        name = f"projects/{project}/secrets/{connection}-access-token/versions/latest"
        self.document = json.loads(secrets.access_secret_version(name=name).payload.data)
        return self.document["access_token"]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a request."""
        if self.document.get("expires_at", 0) < time.time() + 60:
            self.read()
        request.headers["Authorization"] = f"Bearer {self.document['access_token']}"
        return request


auth, session = ConnectionAuth(), requests.Session()


def get(url: str) -> requests.Response:
    """GET; after a 401 read once more, then ask for a refresh and wait for it, then fail."""
    answer = session.get(url, auth=auth, timeout=30)
    if answer.status_code != requests.codes.unauthorized:
        return answer
    refused = auth.document["access_token"]
    if auth.read() == refused and topic:
        publisher = pubsub_v1.PublisherClient()
        message = json.dumps({"connections": [connection], "force": True}).encode()
        publisher.publish(publisher.topic_path(project, topic), message).result(timeout=30)
        for _ in range(30):
            if auth.read() != refused:
                break
            time.sleep(2)
    if auth.document["access_token"] == refused:
        raise SystemExit(f"The token of {connection} is refused: its newest event on token-refresh-events says why.")
    return session.get(url, auth=auth, timeout=30)


listed = get(os.environ["API"])
listed.raise_for_status()
for item in listed.json()["messages"]:
    print(get(f"{os.environ['API']}/{item['id']}").json()["payload"]["headers"][0]["value"])
