"""Airflow and Composer: read the token in the task, and hand out a Connection where an operator wants one.

Nothing has to be configured: the task reads the secret as its worker's service account. Where the Secret Manager
backend is configured and the connection is named for it, `airflow-variables-gmail-alice`, the document is a Variable,
too: `Variable.get("gmail-alice-access-token", deserialize_json=True)["access_token"]`. It can never be an Airflow
Connection by itself: a value that begins with `{` must be a Connection's JSON. `http_connection` makes one of it.

Read in the task, never at parse time: the scheduler parses every file all the time. On a 401 read once more; if the
token is the same, fail with AirflowException and let `retries` with `retry_delay` of five minutes do the waiting.
"""

import json
from datetime import timedelta

import pendulum
from airflow.exceptions import AirflowException
from airflow.sdk import Connection, dag, task


def read_token(connection: str, project: str | None = None) -> dict:
    """Read the document of a connection."""
    import google.auth
    from google.cloud import secretmanager

    project = project or google.auth.default()[1]
    name = f"projects/{project}/secrets/{connection}-access-token/versions/latest"
    return json.loads(secretmanager.SecretManagerServiceClient().access_secret_version(name=name).payload.data)


def http_connection(connection: str, host: str, project: str | None = None) -> Connection:
    """Make the Connection that HttpHook and its like want; it is as old as the task."""
    document = read_token(connection, project)
    headers = {"Authorization": f"Bearer {document['access_token']}"}
    return Connection(conn_id=connection, conn_type="http", host=host, schema="https", extra=json.dumps(headers))


@dag(schedule="@hourly", start_date=pendulum.datetime(2026, 1, 1), catchup=False)
def mailbox():
    @task(retries=3, retry_delay=timedelta(minutes=5))
    def count_messages() -> int:
        import requests

        url = "https://gmail.googleapis.com/gmail/v1/users/me/messages"
        for _ in range(2):
            token = read_token("gmail-alice")["access_token"]
            answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            if answer.status_code != 401:
                answer.raise_for_status()
                return len(answer.json()["messages"])
        raise AirflowException("gmail-alice is refused: its newest event on token-refresh-events says why")

    count_messages()


mailbox()
