"""Why a grant died, as precisely as the facts allow."""

from __future__ import annotations

import pytest

from tests.fakes.instance import build_provider
from token_refresh.core.state.grant_end import explain_death, is_google
from token_refresh.core.units import DAY

NOW = 400 * DAY
GOOGLE = build_provider("google", rotates="never", refresh_token_idle_lifetime=180 * DAY)
OTHER = build_provider("other")
DEAD = "revoked_or_expired"


@pytest.mark.parametrize(
    ("reason", "provider", "maybe_spent", "issued", "used", "expected"),
    [
        pytest.param(DEAD, OTHER, False, None, None, DEAD, id="nothing-known"),
        pytest.param(DEAD, OTHER, True, 7, 0, "lost_rotation", id="the-token-may-be-spent"),
        pytest.param("refresh_token_reused", OTHER, True, None, None, "lost_rotation", id="spent-by-us"),
        pytest.param("refresh_token_reused", OTHER, False, None, None, "refresh_token_reused", id="spent-by-others"),
        pytest.param("reauth_required", GOOGLE, True, 7, 0, "reauth_required", id="the-provider-knows-better"),
        pytest.param(DEAD, GOOGLE, False, 7.02, 0.04, "testing_mode_expiry", id="google-after-seven-days"),
        pytest.param(DEAD, GOOGLE, False, 6.5, 0.04, DEAD, id="google-before-seven-days"),
        pytest.param(DEAD, GOOGLE, False, 9, 0.04, DEAD, id="google-long-after-seven-days"),
        pytest.param(DEAD, OTHER, False, 7, 0.04, DEAD, id="others-have-no-testing-mode"),
        pytest.param(DEAD, GOOGLE, False, 300, 181, "idle_expiry", id="not-used-for-six-months"),
        pytest.param(DEAD, GOOGLE, False, 300, 1, DEAD, id="old-but-used"),
        pytest.param(DEAD, GOOGLE, False, 190, None, "idle_expiry", id="never-used"),
        pytest.param(DEAD, GOOGLE, False, None, None, DEAD, id="google-and-nothing-known"),
        pytest.param(DEAD, OTHER, False, 300, 300, DEAD, id="no-idle-limit-known"),
    ],
)
def test_a_death_is_explained(  # noqa: PLR0913, PLR0917 - a row of the table
    reason: str,
    provider: object,
    maybe_spent: bool,  # noqa: FBT001
    issued: float | None,
    used: float | None,
    expected: str,
) -> None:
    found = explain_death(
        reason,
        provider,  # type: ignore[arg-type]
        maybe_spent=maybe_spent,
        issued_at=None if issued is None else NOW - issued * DAY,
        last_used_at=None if used is None else NOW - used * DAY,
        now=NOW,
    )
    assert found == expected


def test_google_is_known_by_name_or_issuer() -> None:
    assert is_google(GOOGLE)
    assert is_google(build_provider("mine", issuer="https://accounts.google.com"))
    assert not is_google(OTHER)
