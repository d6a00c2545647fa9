"""Security event tokens and signals: what is refused, what they mean, and which grant they are about."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from token_refresh.core.secrecy import Secret
from token_refresh.core.signals import (
    MAX_BODY,
    MAX_SIGNALS,
    SetError,
    Signal,
    double_hash,
    matches,
    parse_set,
    parse_signals,
    read_events,
)
from token_refresh.errors import BadRequest

GOOGLE = "https://accounts.google.com"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
TOKEN = Secret("1//0gCANARY-refresh-token")
HASH = base64.b64encode(hashlib.sha512(hashlib.sha512(TOKEN.reveal().encode()).digest()).digest()).decode()
ACCOUNT = {"subject_type": "iss-sub", "iss": f"{GOOGLE}/", "sub": "7375626A656374"}


def claims(events: object = None, **changes: Any) -> dict[str, object]:
    found = {
        "iss": f"{GOOGLE}/",
        "aud": ["client-1", "client-2"],
        "iat": 1508184845,
        "jti": "756E69717565206964656E746966696572",
        "events": {f"{OAUTH}tokens-revoked": {"subject": ACCOUNT}} if events is None else events,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ...}


def about_a_token(algorithm: object, token: object) -> dict[str, object]:
    subject = {"subject_type": "oauth_token", "token_type": "refresh_token", "token_identifier_alg": algorithm}
    return {f"{OAUTH}token-revoked": {"subject": {**subject, "token": token}}}


def read(events: object = None, **changes: Any) -> Any:
    return read_events(claims(events, **changes), GOOGLE, ["client-2", "client-3"])


@pytest.mark.parametrize("kind", [f"{OAUTH}tokens-revoked", f"{RISC}account-disabled", f"{RISC}sessions-revoked"])
def test_an_event_about_an_account_names_it(kind: str) -> None:
    found = read({kind: {"subject": ACCOUNT, "reason": "hijacking"}})
    assert found.signals == (Signal(GOOGLE, "sub", "7375626A656374"),)
    assert found.names == (kind.rsplit("/", 1)[-1],)
    assert found.jti == "756E69717565206964656E746966696572"


@pytest.mark.parametrize(
    ("algorithm", "token", "signal"),
    [
        ("prefix", TOKEN.reveal()[:16], Signal(GOOGLE, "prefix", TOKEN.reveal()[:16])),
        ("hash_base64_sha512_sha512", HASH, Signal(GOOGLE, "sha512", HASH)),
        ("hash_base64_sha512_sha512", HASH.rstrip("="), Signal(GOOGLE, "sha512", HASH)),
        (
            "hash_base64_sha512_sha512",
            HASH.replace("+", "-").replace("/", "_"),
            Signal(GOOGLE, "sha512", HASH),
        ),
    ],
    ids=["prefix", "hash", "without padding", "url-safe"],
)
def test_an_event_about_a_token_names_it_by_prefix_or_hash(algorithm: str, token: str, signal: Signal) -> None:
    assert read(about_a_token(algorithm, token)).signals == (signal,)


def test_events_of_other_kinds_mean_nothing_here() -> None:
    found = read({f"{RISC}verification": {"state": "x"}, f"{RISC}account-enabled": {}, "https://other/\n": 1})
    assert found.signals == ()
    assert found.names == ("verification", "account-enabled", "")


def test_several_events_are_several_signals_and_each_only_once() -> None:
    one = {f"{OAUTH}tokens-revoked": {"subject": ACCOUNT}, f"{RISC}sessions-revoked": {"subject": ACCOUNT}}
    assert len(read({**one, **about_a_token("prefix", "x" * 16)}).signals) == 2


def test_a_token_of_any_age_counts() -> None:
    for age in ({"iat": 1}, {"iat": 9e15}, {"exp": 1}, {"iat": ...}):
        assert read(**age).signals


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://evil.example"}, "invalid_issuer"),
        ({"iss": f"{GOOGLE}.evil.example"}, "invalid_issuer"),
        ({"iss": ...}, "invalid_issuer"),
        ({"iss": [GOOGLE]}, "invalid_issuer"),
        ({"aud": "somebody"}, "invalid_audience"),
        ({"aud": []}, "invalid_audience"),
        ({"aud": ...}, "invalid_audience"),
        ({"aud": {"client-2": 1}}, "invalid_audience"),
        ({"aud": [["client-2"]]}, "invalid_audience"),
        ({"jti": ...}, "invalid_request"),
        ({"jti": ""}, "invalid_request"),
        ({"jti": 7}, "invalid_request"),
        ({"jti": "x" * 513}, "invalid_request"),
        ({"events": ...}, "invalid_request"),
        ({"events": {}}, "invalid_request"),
        ({"events": [1]}, "invalid_request"),
    ],
)
def test_a_token_for_somebody_else_or_without_events_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(SetError) as caught:
        read(**changes)
    assert caught.value.code == code


@pytest.mark.parametrize("audience", ["client-2", ["client-3"], ["x", "client-2"]])
def test_one_audience_of_ours_is_enough(audience: object) -> None:
    assert read(aud=audience).signals


@pytest.mark.parametrize(
    "events",
    [
        {f"{OAUTH}tokens-revoked": None},
        {f"{OAUTH}tokens-revoked": {}},
        {f"{OAUTH}tokens-revoked": {"subject": "x"}},
        {f"{OAUTH}tokens-revoked": {"subject": {"sub": ""}}},
        {f"{OAUTH}tokens-revoked": {"subject": {"sub": 7}}},
        {f"{OAUTH}tokens-revoked": {"subject": {"sub": "x" * 256}}},
        {f"{OAUTH}tokens-revoked": {"subject": {**ACCOUNT, "iss": "https://evil.example"}}},
        {f"{OAUTH}tokens-revoked": {"subject": {**ACCOUNT, "iss": 1}}},
        about_a_token("prefix", "short"),
        about_a_token("prefix", "x" * 17),
        about_a_token("prefix", "with a blank    "),
        about_a_token("md5", "x" * 16),
        about_a_token(None, "x" * 16),
        about_a_token("hash_base64_sha512_sha512", "bm90IGEgaGFzaA=="),
        about_a_token("hash_base64_sha512_sha512", "no base64!"),
        about_a_token("hash_base64_sha512_sha512", 7),
    ],
)
def test_an_event_that_names_nothing_is_refused(events: dict[str, object]) -> None:
    with pytest.raises(SetError) as caught:
        read(events)
    assert caught.value.code == "invalid_request"


def test_an_event_that_names_nothing_does_not_take_others_with_it() -> None:
    found = read({f"{RISC}sessions-revoked": {}, f"{OAUTH}tokens-revoked": {"subject": ACCOUNT}})
    assert found.signals == (Signal(GOOGLE, "sub", ACCOUNT["sub"]),)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"a.b", b"a.b.c.d", b"a b.c.d", "é.b.c".encode(), b"\xff.b.c", b"a." + b"b" * MAX_BODY + b".c"],
    ids=["empty", "json", "two parts", "four parts", "blank", "not ascii", "binary", "over 1 MiB"],
)
def test_a_body_that_is_no_token_is_refused(body: bytes) -> None:
    with pytest.raises(SetError):
        parse_set(body)


def test_white_space_around_a_token_is_ignored() -> None:
    assert parse_set(b"\r\n aGk.e30.c2ln\n") == "aGk.e30.c2ln"


# -- on the refresh topic --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signal", [Signal(GOOGLE, "sub", "7"), Signal(GOOGLE, "prefix", "x" * 16), Signal(GOOGLE, "sha512", HASH)]
)
def test_a_signal_travels_as_json(signal: Signal) -> None:
    assert parse_signals([signal.as_json()]) == (signal,)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        ["x"],
        [{}],
        [{"iss": GOOGLE}],
        [{"sub": "7"}],
        [{"iss": "", "sub": "7"}],
        [{"iss": 1, "sub": "7"}],
        [{"iss": GOOGLE, "sub": ""}],
        [{"iss": GOOGLE, "sub": "7", "prefix": "x" * 16}],
        [{"iss": GOOGLE, "prefix": ""}],
        [{"iss": GOOGLE, "prefix": "x"}],
        [{"iss": GOOGLE, "sha512": "x"}],
        [{"iss": GOOGLE, "token": "x" * 16}],
        [{"iss": GOOGLE, "sub": "7"}] * (MAX_SIGNALS + 1),
    ],
)
def test_nonsense_is_no_signal(value: object) -> None:
    with pytest.raises(BadRequest, match="signal"):
        parse_signals(value)


# -- matching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "issuer", "subject", "token", "expected"),
    [
        pytest.param(Signal(GOOGLE, "sub", "7"), GOOGLE, "7", None, True, id="sub"),
        pytest.param(Signal(f"{GOOGLE}/", "sub", "7"), GOOGLE, "7", None, True, id="slash in the signal"),
        pytest.param(Signal(GOOGLE, "sub", "7"), f"{GOOGLE}/", "7", TOKEN, True, id="slash in the definition"),
        pytest.param(Signal(GOOGLE, "sub", "7"), GOOGLE, "8", TOKEN, False, id="another account"),
        pytest.param(Signal(GOOGLE, "sub", "7"), GOOGLE, None, TOKEN, False, id="unknown account"),
        pytest.param(Signal(GOOGLE, "sub", "7"), "https://other.example", "7", TOKEN, False, id="another issuer"),
        pytest.param(Signal(GOOGLE, "sub", "7"), None, "7", TOKEN, False, id="no issuer"),
        pytest.param(Signal(GOOGLE, "prefix", TOKEN.reveal()[:16]), GOOGLE, None, TOKEN, True, id="prefix"),
        pytest.param(Signal(GOOGLE, "prefix", "x" * 16), GOOGLE, None, TOKEN, False, id="another prefix"),
        pytest.param(Signal(GOOGLE, "prefix", TOKEN.reveal()[:16]), GOOGLE, "7", None, False, id="unknown token"),
        pytest.param(Signal(GOOGLE, "prefix", TOKEN.reveal()[:15]), GOOGLE, None, TOKEN, False, id="too short"),
        pytest.param(Signal(GOOGLE, "sha512", HASH), GOOGLE, None, TOKEN, True, id="hash"),
        pytest.param(Signal(GOOGLE, "sha512", HASH), GOOGLE, None, Secret("other"), False, id="another hash"),
    ],
)
def test_a_signal_is_about_a_grant_of_its_issuer_only(
    signal: Signal, issuer: str | None, subject: str | None, token: Secret | None, *, expected: bool
) -> None:
    assert matches(signal, issuer, subject, token) is expected


def test_the_hash_is_base64_of_sha512_twice() -> None:
    # printf abc | openssl sha512 -binary | openssl sha512 -binary | base64 -w0
    assert double_hash(Secret("abc")) == (
        "NzqfOpAs9WEAO1E8lMUWS6SvE1y8TrTYVriepWCVI/Ewu+XkU+bGRbJ2WiZarrE5DILJExMIcGNs0Mjs+YDYUQ=="
    )
    assert double_hash(TOKEN) == HASH
