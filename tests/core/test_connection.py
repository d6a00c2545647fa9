"""The spec of a connection: labels and annotations, read without ever raising."""

from __future__ import annotations

import pytest

from token_refresh.core.connection import SecretRecord, connection_name, is_secret_id, parse_connection


def record(
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    secret_id: str = "gmail-alice-refresh-token",
) -> SecretRecord:
    notes = {f"token-refresh.{k}": v for k, v in (annotations or {}).items()}
    return SecretRecord(secret_id, {"token-refresh": "enabled"} if labels is None else labels, notes, '"1"')


@pytest.mark.parametrize(
    ("secret_id", "name"),
    [
        pytest.param("gmail-alice-refresh-token", "gmail-alice", id="with-the-suffix"),
        pytest.param("gmail-alice", "gmail-alice", id="without-it"),
        pytest.param("a-refresh-token-refresh-token", "a-refresh-token", id="only-the-last-one"),
        pytest.param("-refresh-token", "-refresh-token", id="nothing-but-the-suffix"),
    ],
)
def test_the_name_is_the_secret_id_without_the_suffix(secret_id: str, name: str) -> None:
    assert connection_name(secret_id) == name


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param("gmail_alice-1", True, id="letters-digits-dash-underscore"),
        pytest.param("", False, id="empty"),
        pytest.param("../other", False, id="path"),
        pytest.param("a/versions/1", False, id="slash"),
        pytest.param("x" * 255, True, id="longest"),
        pytest.param("x" * 256, False, id="too-long"),
        pytest.param("alice\n", False, id="line-feed"),
    ],
)
def test_a_secret_id_is_recognised(text: str, *, is_one: bool) -> None:
    assert is_secret_id(text) is is_one


def test_a_secret_without_the_label_is_no_connection() -> None:
    assert parse_connection(record(labels={"env": "prod"})) is None


def test_everything_has_a_default() -> None:
    connection = parse_connection(record())
    assert connection is not None
    assert connection.provider == "google"
    assert connection.client_secret_id == "oauth-client-google"
    assert connection.access_token_secret_id == "gmail-alice-access-token"
    assert not connection.is_text
    assert (connection.scopes, connection.owner, connection.subject) == ((), None, None)
    assert connection.refresh_before_expiry is None
    assert connection.variables == {}
    assert (connection.title, connection.purpose, connection.consent_warnings) == (None, None, None)
    assert connection.consents == 0
    assert not connection.paused
    assert connection.problem is None


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "", "9" * 10, "\u0663"])
def test_a_count_of_consents_that_is_none_is_zero(value: str) -> None:
    connection = parse_connection(record({"consents": value}))
    assert connection is not None
    assert (connection.consents, connection.problem) == (0, None)


@pytest.mark.parametrize("elsewhere", ["bob-access-token", "bob-refresh-token", "oauth-client-google", "a b", "../x"])
def test_no_annotation_chooses_where_the_access_token_goes(elsewhere: str) -> None:
    connection = parse_connection(record({"access-token-secret": elsewhere}))
    assert connection is not None
    assert connection.access_token_secret_id == "gmail-alice-access-token"
    assert connection.problem is not None
    assert connection.problem.endswith(
        "gcloud secrets update gmail-alice-refresh-token --remove-annotations=token-refresh.access-token-secret"
    )


def test_a_name_too_long_for_its_access_token_secret_is_a_problem() -> None:
    connection = parse_connection(record(secret_id="x" * 250))
    assert connection is not None
    assert "too long" in (connection.problem or "")


def test_annotations_and_labels_are_the_spec() -> None:
    connection = parse_connection(
        record(
            {
                "client": "my-client",
                "access-token-secret": "gmail-alice-access-token",
                "format": "text",
                "scopes": " a  b ",
                "owner": "alice@example.com",
                "subject": "1234",
                "refresh-before-expiry": "600",
                "variables": '{"tenant": "acme"}',
                "title": "Alice's mail",
                "purpose": "sorts invoices",
                "consent-warnings": "12h, 7d",
                "consents": "3",
            },
            {"token-refresh": "paused", "token-refresh-provider": "okta"},
        )
    )
    assert connection is not None
    assert connection.secret_id == "gmail-alice-refresh-token"
    assert connection.provider == "okta"
    assert connection.client_secret_id == "my-client"
    assert connection.access_token_secret_id == "gmail-alice-access-token"
    assert connection.is_text
    assert connection.scopes == ("a", "b")
    assert (connection.owner, connection.subject) == ("alice@example.com", "1234")
    assert connection.refresh_before_expiry == 600
    assert connection.variables == {"tenant": "acme"}
    assert (connection.title, connection.purpose) == ("Alice's mail", "sorts invoices")
    assert connection.consent_warnings == (604800.0, 43200.0)
    assert connection.consents == 3
    assert connection.paused
    assert connection.problem is None


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        pytest.param({"client": "projects/p/secrets/x"}, "token-refresh.client", id="client-is-no-secret-id"),
        pytest.param({"variables": '{"t": "a/b"}'}, "t is not of the form", id="a-variable-leaves-its-place"),
        pytest.param({"variables": '{"t": ".."}'}, "t is not of the form", id="a-variable-is-a-dot-segment"),
        pytest.param({"consent-warnings": "soon"}, "token-refresh.consent-warnings", id="warnings-are-no-durations"),
        pytest.param({"format": "yaml"}, 'neither "json" nor "text"', id="unknown-format"),
        pytest.param({"refresh-before-expiry": "soon"}, "refresh-before-expiry", id="margin-is-a-word"),
        pytest.param({"refresh-before-expiry": "-5"}, "refresh-before-expiry", id="margin-is-negative"),
        pytest.param({"refresh-before-expiry": "0"}, "refresh-before-expiry", id="margin-is-zero"),
        pytest.param({"refresh-before-expiry": "inf"}, "refresh-before-expiry", id="margin-is-endless"),
        pytest.param({"refresh-before-expiry": "nan"}, "refresh-before-expiry", id="margin-is-no-number"),
        pytest.param({"variables": "tenant=acme"}, "token-refresh.variables", id="variables-are-no-json"),
        pytest.param({"variables": '["acme"]'}, "token-refresh.variables", id="variables-are-a-list"),
        pytest.param({"variables": '{"n": 1}'}, "token-refresh.variables", id="a-variable-is-a-number"),
        pytest.param({"variables": "[" * 100_000}, "token-refresh.variables", id="variables-are-nested-too-deep"),
        pytest.param({"owner": "x" * 15_000}, "16 KiB", id="annotations-leave-no-room"),
    ],
)
def test_nonsense_in_an_annotation_is_one_precise_problem(annotations: dict[str, str], words: str) -> None:
    connection = parse_connection(record(annotations))
    assert connection is not None
    assert connection.problem is not None
    assert words in connection.problem


def test_every_problem_is_named() -> None:
    connection = parse_connection(record({"format": "yaml", "client": "a b"}, {"token-refresh": "on"}))
    assert connection is not None
    assert connection.problem is not None
    assert connection.problem.count(";") == 2


def test_an_unknown_label_value_is_a_problem_and_not_a_pause() -> None:
    connection = parse_connection(record(labels={"token-refresh": "off"}))
    assert connection is not None
    assert connection.problem is not None
    assert not connection.paused
    assert (connection.problem or "").endswith(
        ": gcloud secrets update gmail-alice-refresh-token --update-labels=token-refresh=enabled"
    )


def test_what_the_functions_write_themselves_does_not_count_as_the_user_s() -> None:
    assert parse_connection(record({"status": "x" * 15_000})).problem is None  # type: ignore[union-attr]


def test_an_empty_annotation_is_an_absent_one() -> None:
    connection = parse_connection(record({"owner": " ", "format": "", "variables": "", "refresh-before-expiry": ""}))
    assert connection is not None
    assert (connection.owner, connection.is_text, connection.problem) == (None, False, None)


def test_a_connection_s_repr_does_not_show_its_annotations() -> None:
    assert "alice@" not in repr(parse_connection(record({"status": "alice@example.com"})))
