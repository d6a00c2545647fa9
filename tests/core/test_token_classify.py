from __future__ import annotations

import json
from typing import Any

import pytest

from token_refresh.core.http import HttpReply
from token_refresh.core.provider.table import parse_providers
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, GrantKind, classify_reply
from token_refresh.core.token_endpoint.error_codes import CLIENT, DEAD, INVALID_CLIENT, TRANSIENT
from token_refresh.core.token_endpoint.outcome import (
    ClientRejected,
    ErrorDetail,
    GrantDead,
    Refreshed,
    TokenOutcome,
    Unavailable,
    UnknownOutcome,
)

NOW = 1_800_000_000
HTML = "<html><title>Error</title></html>"


def outcome(  # noqa: PLR0913 - all that a reply may be
    status: int,
    body: object = "",
    *,
    headers: dict[str, str] | None = None,
    kind: GrantKind = GrantKind.OWNER,
    secrets: tuple[str, ...] = (),
    too_large: bool = False,
    **keys: Any,
) -> TokenOutcome:
    provider = parse_providers({"p": {"token_url": "https://a.example/token", **keys}})["p"]
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    reply = HttpReply(status, headers or {}, data, too_large=too_large)
    return classify_reply(reply, provider, Asked(NOW, tuple(map(Secret, secrets)), kind=kind))


def error(code: str, description: str | None = None) -> dict[str, str]:
    return {"error": code} if description is None else {"error": code, "error_description": description}


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 299])
def test_any_2xx_with_an_access_token_is_success(status: int) -> None:
    assert isinstance(outcome(status, {"access_token": "t", "error": "none"}), Refreshed)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 500])
def test_an_access_token_with_another_status_is_none(status: int) -> None:
    assert not isinstance(outcome(status, {"access_token": "t"}), Refreshed)


@pytest.mark.parametrize("body", ["", HTML, "[]", "{}", '{"access_token": ""}', '{"access_token": 1}', "null", "OK"])
@pytest.mark.parametrize("status", [200, 204])
def test_a_2xx_that_cannot_be_read_may_have_happened(status: int, body: str) -> None:
    assert outcome(status, body) == UnknownOutcome("unreadable_reply", ErrorDetail())


def test_a_2xx_beyond_all_bounds_may_have_happened() -> None:
    assert outcome(200, '{"access_token": "t"}', too_large=True) == UnknownOutcome("reply_too_large", ErrorDetail())


@pytest.mark.parametrize("body", ["", HTML, {"access_token": "t"}, error("invalid_grant")])
@pytest.mark.parametrize("status", [502, 504, 520, 524])
def test_a_gateway_that_gave_up_may_have_passed_the_request_on(status: int, body: object) -> None:
    judged = outcome(status, body)
    assert isinstance(judged, UnknownOutcome)
    assert judged.reason == f"http_{status}"


@pytest.mark.parametrize("body", ["", HTML, error("invalid_grant"), error("invalid_client"), error("gone")])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 503, 521, 599])
def test_a_server_in_trouble_is_nobodys_fault_whatever_it_says(status: int, body: object) -> None:
    judged = outcome(status, body, dead_errors=["gone"])
    assert isinstance(judged, Unavailable)
    assert judged.reason == ("rate_limited" if status == 429 else f"http_{status}")


@pytest.mark.parametrize("body", ["", HTML, "{}", "[]", "Bad Request", '{"message": "No such thing"}', '{"error": {}}'])
@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404])
def test_a_refusal_without_a_code_is_for_later(status: int, body: str) -> None:
    assert isinstance(outcome(status, body), Unavailable)


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("code", sorted(DEAD))
def test_a_dead_grant(status: int, code: str) -> None:
    assert isinstance(outcome(status, error(code)), GrantDead)


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("code", sorted(CLIENT))
def test_a_refused_client_keeps_the_code_as_reason(status: int, code: str) -> None:
    assert outcome(status, error(code)) == ClientRejected(code, ErrorDetail(code))


@pytest.mark.parametrize("code", sorted(INVALID_CLIENT))
def test_other_words_for_a_wrong_client_are_invalid_client(code: str) -> None:
    assert outcome(400, error(code)) == ClientRejected("invalid_client", ErrorDetail(code))


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_a_code_that_means_later(status: int, code: str) -> None:
    judged = outcome(status, error(code), headers={"retry-after": "7"})
    assert judged == Unavailable(code, ErrorDetail(code), 7)


def test_an_unknown_code_on_a_4xx_is_the_operators_matter() -> None:
    judged = outcome(400, error("brand_new"))
    assert isinstance(judged, ClientRejected)
    assert judged.reason == "brand_new"


def test_an_unknown_sentence_for_a_code_gets_a_name_of_ours() -> None:
    judged = outcome(404, {"timestamp": 1, "status": 404, "error": "Not Found", "path": "/token"})
    assert isinstance(judged, ClientRejected)
    assert judged.reason == "unknown_error"


def test_an_unknown_code_as_the_error_of_a_2xx_is_the_operators_matter_too() -> None:
    judged = outcome(200, {"ok": False, "error": "brand_new"})
    assert judged == ClientRejected("brand_new", ErrorDetail("brand_new"))


def test_a_2xx_that_only_says_no_is_for_later() -> None:
    assert outcome(200, {"ok": False}) == Unavailable("unknown_error", ErrorDetail())


@pytest.mark.parametrize(
    ("text", "kind", "reason", "description"),
    [
        (
            "invalid_client: Invalid client_id or client_secret",
            ClientRejected,
            "invalid_client",
            "Invalid client_id or",
        ),
        ("invalid_grant: refresh token is malformed", GrantDead, "revoked_or_expired", "refresh token is malformed"),
        ("invalid_grant: a: b", GrantDead, "revoked_or_expired", "a: b"),
        ("not a code: at all", ClientRejected, "unknown_error", None),
        ("urn:a:b", ClientRejected, "urn:a:b", None),
    ],
)
def test_a_sentence_behind_a_code_is_cut_off(text: str, kind: type, reason: str, description: str | None) -> None:
    judged = outcome(400, error(text))
    assert type(judged) is kind
    assert judged.reason == reason  # type: ignore[union-attr]
    assert (judged.detail.error_description or "").startswith(description or "")  # type: ignore[union-attr]
    assert bool(judged.detail.error_description) == bool(description)  # type: ignore[union-attr]


def test_the_providers_own_description_outranks_the_sentence_behind_a_code() -> None:
    judged = outcome(400, error("invalid_client: short", "long"))
    assert judged == ClientRejected("invalid_client", ErrorDetail("invalid_client", "long"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, "reauth_required", id="rapt"),
        pytest.param({"error": "rapt_required"}, "reauth_required", id="rapt as error"),
        pytest.param(error("invalid_grant", "Refresh token has already been used."), "refresh_token_reused", id="used"),
        pytest.param(error("invalid_grant", "Detected re-use of token"), "refresh_token_reused", id="re-use"),
        pytest.param(error("invalid_grant", "token reused"), "refresh_token_reused", id="reused"),
        pytest.param(error("refresh_token_reused"), "refresh_token_reused", id="code"),
        pytest.param(
            error("invalid_grant", "It may be expired or it was already used."),
            "revoked_or_expired",
            id="expired or used",
        ),
        pytest.param(
            error("invalid_grant", "The token was already used or is expired"),
            "revoked_or_expired",
            id="used or expired",
        ),
        pytest.param(error("invalid_grant", "Token has been expired or revoked."), "revoked_or_expired", id="plain"),
        pytest.param({"errors": [{"errorType": "invalid_grant", "message": "x y"}]}, "revoked_or_expired", id="list"),
        pytest.param({"error": {"code": "invalid_grant"}}, "revoked_or_expired", id="object"),
        pytest.param({"errors": ["invalid_grant"]}, "revoked_or_expired", id="list of codes"),
        pytest.param({"error": "Invalid_Grant"}, "revoked_or_expired", id="another case"),
    ],
)
def test_why_a_grant_is_dead(body: object, reason: str) -> None:
    judged = outcome(400, body)
    assert isinstance(judged, GrantDead)
    assert judged.reason == reason


def test_a_subtype_may_say_that_it_is_not_the_owner() -> None:
    judged = outcome(400, {"error": "invalid_grant", "error_subtype": "admin_policy_enforced"})
    assert isinstance(judged, ClientRejected)
    assert (judged.reason, judged.detail.error_subtype) == ("admin_policy_enforced", "admin_policy_enforced")


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.", "clock_skew"),
        ("Invalid grant: account not found", "unknown_account"),
        ("Invalid JWT Signature.", "disabled_key"),
        ("Not a valid email or user ID.", "unknown_subject"),
        ("Something else", "invalid_grant"),
    ],
)
def test_a_service_accounts_grant_is_never_its_owners_matter(description: str, reason: str) -> None:
    judged = outcome(400, error("invalid_grant", description), kind=GrantKind.SERVICE_ACCOUNT)
    assert isinstance(judged, ClientRejected)
    assert judged.reason == reason


def test_a_client_that_stands_for_itself_has_no_owner() -> None:
    judged = outcome(400, error("invalid_grant"), kind=GrantKind.CLIENT)
    assert isinstance(judged, ClientRejected)
    assert judged.reason == "invalid_grant"


LISTS: dict[str, Any] = {
    "transient_errors": ["busy", "try again"],
    "client_errors": ["bad_key", "access_denied", "wrong key", "soft"],
    "admin_errors": ["POLICY7", "org_internal", "not assigned", "soft", "blocked"],
    "dead_errors": ["blocked", "not assigned to us", "gone", "token is gone", "soft", "busy", "invalid_request"],
}


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        pytest.param(error("busy"), Unavailable, "busy", id="transient before dead"),
        pytest.param(error("invalid_grant", "Please TRY AGAIN soon"), Unavailable, "http_400", id="transient phrase"),
        pytest.param(error("bad_key"), ClientRejected, "bad_key", id="client"),
        pytest.param(error("soft"), ClientRejected, "soft", id="client before dead"),
        pytest.param(error("access_denied"), ClientRejected, "invalid_client", id="standard code, listed as client"),
        pytest.param(error("x", "wrong key given"), ClientRejected, "invalid_client", id="client phrase"),
        pytest.param(error("invalid_scope", "wrong key"), ClientRejected, "invalid_scope", id="standard code beside"),
        pytest.param(error("policy7"), ClientRejected, "access_denied", id="admin"),
        pytest.param(error("org_internal"), ClientRejected, "org_internal", id="admin, a known reason"),
        pytest.param(error("invalid_grant", "User NOT ASSIGNED"), ClientRejected, "access_denied", id="admin phrase"),
        pytest.param(error("invalid_grant", "policy7"), GrantDead, "revoked_or_expired", id="a code is no phrase"),
        pytest.param(error("blocked"), ClientRejected, "access_denied", id="admin before dead"),
        pytest.param(error("x", "not assigned to us"), ClientRejected, "access_denied", id="admin phrase before dead"),
        pytest.param(error("gone"), GrantDead, "revoked_or_expired", id="dead"),
        pytest.param(error("invalid_request"), GrantDead, "revoked_or_expired", id="dead, against the general table"),
        pytest.param(error("busy", "the token is gone"), GrantDead, "revoked_or_expired", id="phrase before code"),
    ],
)
def test_a_providers_own_lists_outrank_the_general_tables(body: object, kind: type, reason: str) -> None:
    judged = outcome(400, body, **LISTS)
    assert type(judged) is kind
    assert judged.reason == reason  # type: ignore[union-attr]


def test_what_was_sent_is_masked_in_what_comes_back() -> None:
    body = {
        "error": "bad token-1234",
        "error_description": "token-1234 and s%2Bcret\n" + "x" * 1000,
        "error_subtype": "token-1234",
    }
    judged = outcome(400, body, secrets=("token-1234", "s%2Bcret"))
    assert isinstance(judged, ClientRejected)
    assert (judged.reason, judged.detail.error, judged.detail.error_subtype) == ("unknown_error", "bad ***", "***")
    assert judged.detail.error_description is not None
    assert judged.detail.error_description.startswith("*** and *** x")
    assert len(judged.detail.error_description) == 500


def test_a_reason_is_never_a_secret() -> None:
    judged = outcome(400, error("token-1234"), secrets=("token-1234",))
    assert isinstance(judged, ClientRejected)
    assert judged.reason == "unknown_error"


def test_errors_nested_beyond_reason_are_not_followed() -> None:
    body: object = error("invalid_grant")
    for _ in range(50):
        body = {"error": body}
    assert isinstance(outcome(400, body), Unavailable)
