"""A code is redeemed once, with its verifier; what the answer tells of the account is kept."""

from __future__ import annotations

import pytest

from tests.fakes.token_requests import build_token_request
from tests.worlds.exchanges import CLIENT, TOKEN, URL, Script, endpoint, provider, reply
from token_refresh.core.grant import Client
from token_refresh.core.http import HttpReply
from token_refresh.core.provider.definition import Provider
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome
from token_refresh.errors import Misconfigured, ReplyLost


def test_a_client_without_its_secret_redeems_no_code() -> None:
    script = Script()
    with pytest.raises(Misconfigured, match='needs "client_secret"'):
        redeem(script, provider(), Client("c"))
    assert script.sent == []


def redeem(script: Script, provider: Provider, client: Client, verifier: Secret | None = None) -> TokenOutcome:
    return endpoint(script).redeem(
        build_token_request(provider, None, client),
        code=Secret("code-1234"),
        code_verifier=verifier,
        redirect_uri="https://us.example/callback",
    )


def test_a_code_is_redeemed_with_its_verifier() -> None:
    script = Script(TOKEN)
    outcome = redeem(script, provider(refresh_url="https://a.example/refresh"), CLIENT, Secret("verifier-1234"))
    assert isinstance(outcome, Refreshed)
    assert outcome.refresh_token == Secret("new-refresh-token")
    assert script.sent[0].url == URL
    assert script.form() == {
        "grant_type": "authorization_code",
        "code": "code-1234",
        "code_verifier": "verifier-1234",
        "redirect_uri": "https://us.example/callback",
        "client_id": "client",
        "client_secret": "client-secret-1234",
    }


def test_a_spent_code_is_a_dead_grant() -> None:
    spent = reply(400, {"error": "invalid_grant", "error_description": "code-1234 is spent"})
    outcome = redeem(Script(spent), provider(), CLIENT)
    assert isinstance(outcome, GrantDead)
    assert outcome.detail.error_description == "*** is spent"


def test_where_the_token_reply_tells_the_account_a_redemption_keeps_it() -> None:
    body = {"access_token": "t", "user": {"id": 7, "login": "ada"}, "email": "ada@example.com"}
    for path, extra in (
        ("user.id", {"user.id": 7, "user": {"id": 7, "login": "ada"}}),
        ("user", {"user": {"id": 7, "login": "ada"}, "email": "ada@example.com"}),
    ):
        outcome = redeem(Script(reply(200, body)), provider(subject={"from": "token_response", "path": path}), CLIENT)
        assert isinstance(outcome, Refreshed)
        assert {name: value for name, value in outcome.extra.items() if name in extra} == extra


@pytest.mark.parametrize(
    ("answer", "facts"),
    [(reply(200, {"sub": "7"}), {"sub": "7"}), (reply(401, {"sub": "7"}), None), (reply(200, []), None)],
)
def test_userinfo_is_fetched_as_the_owner(answer: HttpReply, facts: object) -> None:
    script = Script(answer)
    p = provider(headers={"User-Agent": "app", "X-Key": "{client_secret}"})
    assert endpoint(script).fetch_json(p, "https://a.example/me", Secret("token-1234")) == facts
    assert script.sent[0].method == "GET"
    assert script.sent[0].headers == {
        "Accept": "application/json",
        "User-Agent": "app",
        "Authorization": "Bearer token-1234",
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_userinfo_in_trouble_is_the_provider_s_trouble_and_no_missing_setup(status: int) -> None:
    script = Script(reply(status, {"sub": "7"}))
    with pytest.raises(ReplyLost, match=rf"^a\.example answered {status}$"):
        endpoint(script).fetch_json(provider(), "https://a.example/me", Secret("token-1234"))
