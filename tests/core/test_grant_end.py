"""When a grant will end by itself, and the moments at which its owner is told."""

from __future__ import annotations

import pytest

from tests.fakes.instance import build_provider
from token_refresh.core.grant import RefreshTokenGrant
from token_refresh.core.secrecy import Secret
from token_refresh.core.state.grant_end import GrantEnd, consent_to_keep, crossed_warning, find_end, version_to_date
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.units import DAY, HOUR

NOW = 1_800_000_000.0
OLD = Secret("old")
NEW = Secret("new")
PLAIN = build_provider()
LIMITED = build_provider(refresh_token_lifetime=90 * DAY)
CONSENTED = build_provider(refresh_token_lifetime=90 * DAY, refresh_token_lifetime_from="consent")
KEPT = build_provider(
    refresh_token_lifetime=90 * DAY, refresh_token_lifetime_from="consent", rotates_refresh_tokens="never"
)


def reply(**fields: object) -> Refreshed:
    return Refreshed(Secret("t"), int(NOW) + 3600, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grant", "answer", "provider", "end"),
    [
        pytest.param(RefreshTokenGrant(OLD), {}, PLAIN, None, id="nothing-known"),
        pytest.param(
            RefreshTokenGrant(OLD, expires_at=NOW + DAY), {}, PLAIN, GrantEnd(NOW + DAY, None), id="the-payload"
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, expires_at=NOW + DAY),
            {},
            PLAIN,
            GrantEnd(NOW + DAY, 2 * DAY),
            id="the-payload-with-its-beginning",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, expires_at=NOW + DAY),
            {"refresh_token_expires_at": int(NOW) + 5},
            LIMITED,
            GrantEnd(NOW + 5, 90 * DAY),
            id="the-reply-knows-best",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY), {}, LIMITED, GrantEnd(NOW + 89 * DAY, 90 * DAY), id="provider"
        ),
        pytest.param(RefreshTokenGrant(OLD), {}, LIMITED, None, id="provider-without-a-beginning"),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, expires_at=NOW + DAY),
            {"refresh_token": NEW},
            PLAIN,
            None,
            id="a-new-token-does-not-inherit-the-end",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY),
            {"refresh_token": NEW},
            LIMITED,
            GrantEnd(NOW + 90 * DAY, 90 * DAY),
            id="a-new-token-has-a-life-of-its-own",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, consented_at=NOW - 80 * DAY),
            {"refresh_token": NEW},
            CONSENTED,
            GrantEnd(NOW + 10 * DAY, 90 * DAY),
            id="a-life-from-consent-does-not-begin-anew",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY),
            {"refresh_token": NEW},
            CONSENTED,
            GrantEnd(NOW + 89 * DAY, 90 * DAY),
            id="an-issue-that-no-rotation-has-moved-is-the-consent",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, consented_at=NOW - 80 * DAY),
            {"refresh_token": NEW, "refresh_token_expires_at": int(NOW + 30 * DAY)},
            CONSENTED,
            GrantEnd(NOW + 10 * DAY, 90 * DAY),
            id="the-consent-ends-before-the-token",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, consented_at=NOW - 10 * DAY),
            {"refresh_token": NEW, "refresh_token_expires_at": int(NOW + 30 * DAY)},
            CONSENTED,
            GrantEnd(int(NOW + 30 * DAY), 30 * DAY),
            id="the-token-ends-before-the-consent",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, consented_at=NOW - DAY, expires_at=NOW + 1),
            {"authorization_expires_at": int(NOW + DAY), "refresh_token_timeout": 60},
            LIMITED,
            GrantEnd(int(NOW + DAY), 2 * DAY),
            id="the-end-of-the-authorization-outranks-all",
        ),
        pytest.param(
            RefreshTokenGrant(OLD),
            {"authorization_expires_at": int(NOW + DAY)},
            PLAIN,
            GrantEnd(int(NOW + DAY), None),
            id="an-authorization-without-a-beginning",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY, expires_at=NOW + DAY),
            {"refresh_token_timeout": 60},
            PLAIN,
            None,
            id="an-idle-time-is-not-an-end",
        ),
    ],
)
def test_the_end_of_a_grant(grant: RefreshTokenGrant, answer: dict[str, object], provider: object, end: object) -> None:
    assert find_end(grant, reply(**answer), provider, NOW) == end  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grant", "answer", "provider", "number", "end"),
    [
        pytest.param(RefreshTokenGrant(OLD), {}, PLAIN, None, None, id="no-end-in-sight"),
        pytest.param(RefreshTokenGrant(OLD, issued_at=NOW), {}, LIMITED, None, ..., id="issue-known"),
        pytest.param(RefreshTokenGrant(OLD), {"refresh_token": NEW}, LIMITED, None, ..., id="issued-now"),
        pytest.param(RefreshTokenGrant(OLD), {}, LIMITED, 7, GrantEnd(NOW + 50 * DAY, 90 * DAY), id="unknown-issue"),
        pytest.param(
            RefreshTokenGrant(OLD),
            {"refresh_token_expires_at": int(NOW + 10 * DAY)},
            PLAIN,
            7,
            GrantEnd(int(NOW + 10 * DAY), 50 * DAY),
            id="life-of-a-token-whose-issue-is-unknown",
        ),
        pytest.param(
            RefreshTokenGrant(OLD, expires_at=NOW + DAY), {}, PLAIN, None, GrantEnd(NOW + DAY, None), id="by-hand"
        ),
        pytest.param(RefreshTokenGrant(OLD, consented_at=NOW), {}, CONSENTED, None, ..., id="consent-known"),
        pytest.param(
            RefreshTokenGrant(OLD, is_bare=True),
            {"refresh_token": NEW},
            CONSENTED,
            1,
            GrantEnd(NOW + 50 * DAY, 90 * DAY),
            id="unknown-consent-of-a-bare-token-that-is-replaced",
        ),
        pytest.param(
            RefreshTokenGrant(OLD), {}, CONSENTED, 7, GrantEnd(NOW + 50 * DAY, 90 * DAY), id="unknown-consent"
        ),
        pytest.param(
            RefreshTokenGrant(OLD, is_bare=True), {}, KEPT, 7, GrantEnd(NOW + 50 * DAY, 90 * DAY), id="of-a-kept-one"
        ),
        pytest.param(RefreshTokenGrant(OLD, issued_at=NOW), {}, CONSENTED, None, ..., id="consent-by-issue"),
        pytest.param(
            RefreshTokenGrant(OLD),
            {"authorization_expires_at": int(NOW + 10 * DAY)},
            PLAIN,
            7,
            GrantEnd(int(NOW + 10 * DAY), 50 * DAY),
            id="life-of-an-authorization-whose-consent-is-unknown",
        ),
    ],
)
def test_the_creation_of_a_version_stands_for_an_unknown_beginning(
    grant: RefreshTokenGrant, answer: dict[str, object], provider: object, number: int | None, end: object
) -> None:
    refreshed = reply(**answer)
    assert version_to_date(grant, refreshed, provider, 7) == number  # type: ignore[arg-type]
    if end is not ...:
        created_at = NOW - 40 * DAY if number else None
        assert find_end(grant, refreshed, provider, NOW, created_at) == end  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("grant", "answer", "provider", "kept"),
    [
        pytest.param(RefreshTokenGrant(OLD, issued_at=NOW - DAY), {}, LIMITED, None, id="a-life-of-each-token"),
        pytest.param(RefreshTokenGrant(OLD, issued_at=NOW - DAY), {}, CONSENTED, int(NOW - DAY), id="first-rotation"),
        pytest.param(RefreshTokenGrant(OLD), {}, CONSENTED, int(NOW), id="first-rotation-of-an-undated-grant"),
        pytest.param(RefreshTokenGrant(OLD, issued_at=1, consented_at=1), {}, CONSENTED, None, id="kept-already"),
        pytest.param(
            RefreshTokenGrant(OLD, issued_at=NOW - DAY),
            {"authorization_expires_at": 1},
            PLAIN,
            int(NOW - DAY),
            id="an-authorization-that-ends",
        ),
    ],
)
def test_the_consent_survives_rotations(
    grant: RefreshTokenGrant, answer: dict[str, object], provider: object, kept: object
) -> None:
    assert consent_to_keep(grant, reply(refresh_token=NEW, **answer), provider, NOW) == kept  # type: ignore[arg-type]


AT = NOW + 100 * DAY
WEEK = 7 * DAY


@pytest.mark.parametrize(
    ("life", "looked_at", "now", "warning"),
    [
        pytest.param(None, AT - 8 * DAY, AT - 7.1 * DAY, None, id="early"),
        pytest.param(None, AT - 7.1 * DAY, AT - 7 * DAY, WEEK, id="seven-days-before"),
        pytest.param(None, AT - 7 * DAY, AT - 6.9 * DAY, None, id="told"),
        pytest.param(None, AT - 1.1 * DAY, AT - DAY, DAY, id="one-day-before"),
        pytest.param(None, AT - DAY, AT - 0.5 * DAY, None, id="told-twice"),
        pytest.param(None, AT - 9 * DAY, AT - 0.5 * DAY, DAY, id="both-missed"),
        pytest.param(None, None, AT - 3 * DAY, WEEK, id="first-look"),
        pytest.param(None, None, AT - 30 * DAY, None, id="first-look-early"),
        pytest.param(30 * DAY, AT - 6 * DAY, AT - 4 * DAY, None, id="a-tenth-of-a-shorter-life-not-yet"),
        pytest.param(30 * DAY, AT - 4 * DAY, AT - 3 * DAY, WEEK, id="a-tenth-of-a-shorter-life"),
        pytest.param(30 * DAY, AT - 1.1 * DAY, AT - DAY, DAY, id="and-one-day-before"),
        pytest.param(5 * DAY, AT - DAY, AT - 0.5 * DAY, WEEK, id="a-life-of-five-days-is-told-half-a-day-before"),
        pytest.param(5 * DAY, AT - 1.1 * DAY, AT - 0.9 * DAY, None, id="and-not-one-day-before"),
        pytest.param(5 * DAY, AT - 0.5 * DAY, AT - 1, None, id="two-that-fall-together-are-one"),
    ],
)
def test_an_owner_is_warned_at_each_moment_once(
    life: float | None, looked_at: float | None, now: float, warning: object
) -> None:
    assert crossed_warning(GrantEnd(AT, life), looked_at, now, (WEEK, DAY)) == warning


def test_the_moments_are_the_operators_choice() -> None:
    end, own = GrantEnd(AT, None), (30 * DAY, 12 * HOUR)
    assert crossed_warning(end, AT - 31 * DAY, AT - 29 * DAY, own) == 30 * DAY
    assert crossed_warning(end, AT - 8 * DAY, AT - DAY, own) is None
    assert crossed_warning(end, AT - DAY, AT - 11 * HOUR, own) == 12 * HOUR
    assert crossed_warning(end, None, AT, ()) is None


def test_an_end_that_wobbles_by_a_second_is_told_once() -> None:
    looks = [AT - 7 * DAY + offset for offset in (-600, -300, 0, 5, 300)]
    wobble = (1, -1, 1, -1, 1)
    told = [
        crossed_warning(GrantEnd(AT + w, None), before, now, (WEEK, DAY))
        for w, before, now in zip(wobble[1:], looks, looks[1:], strict=False)
    ]
    assert told.count(7 * DAY) == 1
