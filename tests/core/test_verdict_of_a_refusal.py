"""What is remembered of a refused client or request: the words, the registration, and that it is the same incident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.worlds.situations import NOW, case, status_after, was
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import judge
from token_refresh.core.status import State
from token_refresh.core.token_endpoint.outcome import ClientRejected, ErrorDetail

REFUSED = ClientRejected("invalid_client", ErrorDetail("invalid_client", error_subtype="secret_expired"))
BARE = ClientRejected("http_400", ErrorDetail())


@pytest.mark.parametrize(
    ("situation", "since_attempts_wait"),
    [
        pytest.param(case(), (NOW, 1, 60), id="for-the-first-time"),
        pytest.param(case(State.UNAVAILABLE), (NOW, 1, 60), id="after-silence"),
        pytest.param(was(case(State.REJECTED), client="oauth-client-other"), (NOW, 1, 60), id="another-client"),
        pytest.param(case(State.REJECTED), (NOW - 600, 2, 120), id="once-more"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(REFUSED, ("invalid_client", "secret_expired"), id="in-words"),
        pytest.param(BARE, ("", ""), id="without"),
    ],
)
def test_a_refusal_is_remembered_in_the_words_of_the_provider(
    situation: Situation, since_attempts_wait: tuple[float, int, float], answer: ClientRejected, words: tuple[str, str]
) -> None:
    status = status_after(judge(replace(situation, client_version=7), answer))
    assert (status.state, status.reason, status.client_version) == ("rejected", answer.reason, 7)
    assert (status.error, status.error_subtype) == words
    assert (status.since, status.attempts, status.next_attempt_at - NOW) == since_attempts_wait
