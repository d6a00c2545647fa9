"""Read a mailbox with the access token of a connection, without a line about tokens.

Save the output of `token-refresh credentials gmail-alice --token-url URL` as a file and point to it:

    export GOOGLE_APPLICATION_CREDENTIALS=gmail-alice.json

The job's service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token, nothing else.

On a 401 the library asks `token` once more by itself. If the answer is the same token, there is no newer one yet: let
the job fail and run again, or ask for a refresh as the other examples do.
"""

import google.auth
from googleapiclient.discovery import build

# Scopes are decided when the owner consents; these only keep libraries quiet.
credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/gmail.readonly"])
messages = build("gmail", "v1", credentials=credentials).users().messages()
for found in messages.list(userId="me", maxResults=5).execute().get("messages", []):
    message = messages.get(userId="me", id=found["id"], format="metadata", metadataHeaders=["Subject"]).execute()
    print(message["payload"]["headers"][0]["value"])
