"""Beam on Dataflow: credentials that are made where they are used, since pickling drops a refresh handler.

    python pipeline.py --runner=DataflowRunner --project=my-project --service_account_email=job@... --input=ids.txt

The workers' service account needs roles/secretmanager.secretAccessor on the secret gmail-alice-access-token. One read
per worker and hour: Secret Manager's quota of 90 000 a minute is far away. On a 401 google-auth asks the handler again;
if the token is the same, the call fails, and Beam tries the bundle again (four times in batch, for ever in streaming).
"""

import json
from datetime import UTC, datetime

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


class ReadSubject(beam.DoFn):
    def __init__(self, project: str, connection: str) -> None:
        self.secret = f"projects/{project}/secrets/{connection}-access-token/versions/latest"

    def setup(self) -> None:
        from google.cloud import secretmanager
        from google.oauth2.credentials import Credentials
        from googleapiclient.discovery import build

        self.secrets = secretmanager.SecretManagerServiceClient()
        credentials = Credentials(token=None, refresh_handler=self.read_token)
        self.messages = build("gmail", "v1", credentials=credentials).users().messages()

    def read_token(self, request, scopes):
        document = json.loads(self.secrets.access_secret_version(name=self.secret).payload.data)
        return document["access_token"], datetime.fromtimestamp(document["expires_at"], UTC).replace(tzinfo=None)

    def process(self, number: str):
        message = self.messages.get(userId="me", id=number, format="metadata", metadataHeaders=["Subject"]).execute()
        yield message["payload"]["headers"][0]["value"]


def main() -> None:
    options = PipelineOptions()
    given = options.get_all_options()
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.io.ReadFromText(given.get("input") or "ids.txt")
            | beam.ParDo(ReadSubject(given["project"], "gmail-alice"))
            | beam.Map(print)
        )


if __name__ == "__main__":
    main()
