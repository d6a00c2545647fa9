"""The consent function dies at any call: the next runs bring the connection home, and no grant is lost on the way."""

from __future__ import annotations

import pytest

from tests.fakes.faults import Crash
from tests.fakes.instance import ScriptedExchange, build_runner
from tests.worlds.consent_store import NAME, SECRET
from tests.worlds.consents import ACCESS_TOKEN, DEAD, NEW_TOKEN, ConsentWorld
from token_refresh.core.grant import Grant, RefreshTokenGrant
from token_refresh.core.incident.events import EventType
from token_refresh.core.incident.incident import event_type_of, recovered_id
from token_refresh.core.secrecy import Secret
from token_refresh.core.status import parse_status
from token_refresh.core.token_endpoint.outcome import GrantDead, Refreshed, TokenOutcome
from token_refresh.core.trigger import Trigger

pytestmark = pytest.mark.timeout(60)
ENOUGH = 40  # calls of the store and topics in one consent


def answer(grant: Grant) -> TokenOutcome:
    """Know the new refresh token only."""
    alive = isinstance(grant, RefreshTokenGrant) and grant.refresh_token.reveal() == NEW_TOKEN
    return Refreshed(Secret(ACCESS_TOKEN), 1_795_003_600) if alive else GrantDead("revoked_or_expired")


def consent_and_crash(rotates: str, when: str, calls: int) -> tuple[ConsentWorld, bool]:
    """Let the consent function die before or after its n-th call; tell whether it came that far."""
    world = ConsentWorld(rotates_refresh_tokens=rotates)
    world.store.create(f"{NAME}-access-token")
    link = world.link()
    world.start(link)
    world.publisher.faults = world.store.faults  # one instance: what kills the one kills the other
    world.store.faults.fail("*", Crash(), when=when, skip=calls)
    try:
        world.finish()
    except Crash:
        return world, True
    return world, False


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("rotates", ["never", "always"])
def test_wherever_it_dies_the_grant_is_kept_or_never_was_and_the_news_goes_out_once(rotates: str, when: str) -> None:
    survived = 0
    for calls in range(ENOUGH):
        world, crashed = consent_and_crash(rotates, when, calls)
        stored = world.store.newest() == 2
        survived += not crashed
        exchange = ScriptedExchange(answer)
        for _ in range(3):
            world.clock.advance(600)  # leases end
            store = world.store.restarted()
            world.publisher.faults = store.faults
            providers = list(world.providers.values())
            build_runner(store, exchange, world.publisher, world.clock, providers=providers).run(Trigger())
        recovered = {event.id for event in world.publisher.events if event.type == EventType.RECOVERED}
        status = parse_status(world.store.annotation("status"))
        where = f"{rotates}, {when} call {calls}"
        if stored:
            assert status is None, where
            assert world.store.payloads(f"{NAME}-access-token"), where
            assert recovered == {recovered_id(DEAD.event_id)}, where
            assert NEW_TOKEN.encode() in world.store.payloads(SECRET)[2], where
        else:
            assert crashed, where
            assert status is not None, where
            assert status.state == "needs_consent", where
            assert not recovered, where
    assert 0 < survived < ENOUGH, "the sweep must reach the end of a consent"


def test_the_same_incident_is_ended_with_the_same_id_by_whoever_ends_it() -> None:
    world, _ = consent_and_crash("never", "before", ENOUGH)
    assert [event.id for event in world.publisher.events] == [recovered_id(DEAD.event_id)]
    assert event_type_of(world.publisher.events[0].id) == EventType.RECOVERED
