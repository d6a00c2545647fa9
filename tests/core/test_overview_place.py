"""Commands and links for people: the project is filled in, and no shell is surprised by a name."""

from __future__ import annotations

import shlex

import pytest

from tests.worlds.overview_rows import build
from token_refresh.core.overview.place import (
    Place,
    build_commands,
    build_first_steps,
    build_grant_command,
    build_logs_url,
    build_scheduler_commands,
    build_secret_url,
)
from token_refresh.core.overview.row import Standing

HERE, REGIONAL = Place("some-project"), Place("some-project", "europe-west1")
SECRET = "gmail-alice-refresh-token"
CORRECT = "--update-annotations=token-refresh.owner=alice@example.com"


@pytest.mark.parametrize(
    ("standing", "first"),
    [
        (Standing.NEEDS_CONSENT, f"gcloud secrets versions add {SECRET} --data-file=grant.json --project=some-project"),
        (
            Standing.PAUSED,
            f"gcloud secrets update {SECRET} --project=some-project --update-labels=token-refresh=enabled",
        ),
        (
            Standing.REJECTED,
            "gcloud secrets versions add oauth-client-google --data-file=client_secret.json --project=some-project",
        ),
        (
            Standing.MISCONFIGURED,
            f"gcloud secrets update {SECRET} --project=some-project {CORRECT}",
        ),
        (Standing.UNREADABLE, "gcloud secrets get-iam-policy gmail-alice-access-token --project=some-project"),
    ],
)
def test_what_the_state_asks_for_comes_first(standing: Standing, first: str) -> None:
    commands = build_commands(build(owner="alice@example.com").connection, standing, HERE)
    assert commands[0].line == first
    assert any("versions access latest --secret=gmail-alice-access-token" in c.line for c in commands)


def test_regional_secrets_are_named_with_their_location() -> None:
    for command in (*build_commands(build().connection, Standing.HEALTHY, REGIONAL), *build_first_steps(REGIONAL)):
        assert "--location=europe-west1" in command.line
    assert (
        build_secret_url(REGIONAL, SECRET)
        == "https://console.cloud.google.com/security/secret-manager?project=some-project"
    )
    assert REGIONAL.region == "europe-west1"
    assert HERE.region == "global"


def test_an_empty_project_begins_with_three_commands() -> None:
    client, token, connection = build_first_steps(HERE)
    assert (
        client.line == "gcloud secrets create oauth-client-google --data-file=client_secret.json --project=some-project"
    )
    assert token.line == "gcloud secrets create gmail-alice-access-token --project=some-project"
    words = shlex.split(connection.line)
    assert "--labels=token-refresh=enabled,token-refresh-provider=google" in words
    assert any(
        w.startswith("--set-annotations=token-refresh.owner=alice@example.com,token-refresh.scopes=openid")
        for w in words
    )


def test_the_scheduler_is_in_a_region_that_only_people_know() -> None:
    assert "--location=REGION" in build_scheduler_commands(HERE)[0].line
    assert "--location=europe-west1" in build_scheduler_commands(REGIONAL)[1].line


def test_links_lead_to_one_secret_and_to_its_log_lines() -> None:
    assert build_secret_url(HERE, SECRET) == (
        f"https://console.cloud.google.com/security/secret-manager/secret/{SECRET}/versions?project=some-project"
    )
    assert build_logs_url(HERE, "gmail-alice") == (
        "https://console.cloud.google.com/logs/query;query=jsonPayload.connection%3D%22gmail-alice%22;duration=PT6H"
        "?project=some-project"
    )
    assert "jsonPayload.event%3D%22run%22" in build_logs_url(HERE)


def test_the_permission_to_list_is_granted_to_the_pages_own_account() -> None:
    line = build_grant_command(HERE).line
    assert "token-refresh-status@some-project.iam.gserviceaccount.com" in line
    assert "roles/token_refresh_lister" in line


def test_a_connection_without_an_owner_is_given_one_first() -> None:
    assert CORRECT in build_commands(build().connection, Standing.NEEDS_CONSENT, HERE)[0].line
