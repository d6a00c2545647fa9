"""An operator revokes a grant: at the provider first, then here, and nobody is asked or told (contract 4)."""

from __future__ import annotations

import pytest

from tests.fakes.instance import Crash
from tests.worlds.runs import DAY, DEAD, RunWorld
from token_refresh.core.token_endpoint.revocation import NotRevoked
from token_refresh.core.trigger import Trigger
from token_refresh.errors import Misconfigured, StoreDenied, StoreUnavailable, UnknownConnection


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.add("alice", annotations={"token-refresh.subject": "17"})
    world.run()
    return world


def revoke(world: RunWorld, *names: str, dry_run: bool = False) -> dict[str, object]:
    trigger = Trigger(connections=names, revoke=True, dry_run=dry_run)
    rows = world.runner.run(trigger).document()["connections"]
    assert isinstance(rows, list)
    return dict(rows[0])


def test_both_tokens_are_revoked_and_the_access_tokens_destroyed(world: RunWorld) -> None:
    row = revoke(world, "alice")
    assert (row["outcome"], row["reason"]) == ("revoked", "revoked_by_operator")
    assert [token for token, _ in world.revoker.revoked] == ["alice-token"]
    assert world.revoker.revoked[0][1]
    assert world.store.payloads("alice-access-token") == {}
    status = world.status("alice")
    assert status
    assert (status["state"], status["reason"]) == ("needs_consent", "revoked_by_operator")
    assert world.lease("alice") == {"holder": "", "until": 0, "version": 1}


def test_afterwards_nothing_is_sent_told_or_reminded_until_there_is_a_newer_version(world: RunWorld) -> None:
    world.dying("alice")
    revoke(world, "alice")
    world.exchange.sent.clear()
    for _ in range(10):
        assert world.later(DAY, force=True) == {"alice": "needs_consent: revoked_by_operator"}
    assert world.exchange.sent == []
    assert world.events() == []
    world.store.put("alice-refresh-token", "alice-second")
    assert world.run() == {"alice": "refreshed: refreshed"}
    assert world.events() == []


def test_an_open_incident_ends_without_a_word(world: RunWorld) -> None:
    world.answers["alice-token"] = DEAD
    world.clock.advance(4000)
    world.confirmed()
    told = world.events()
    assert revoke(world, "alice")["outcome"] == "revoked"
    world.later(3 * DAY)
    assert world.events() == told


@pytest.mark.parametrize("reason", ["http_503", "reply_lost", "invalid_client"])
def test_what_the_provider_does_not_confirm_changes_nothing(world: RunWorld, reason: str) -> None:
    world.revoker.answer = NotRevoked(reason)
    before = world.store.payloads("alice-access-token"), world.store.annotations("alice-refresh-token")
    row = revoke(world, "alice")
    assert (row["outcome"], row["reason"]) == ("unavailable", reason)
    assert "nothing was changed" in str(row["message"])
    assert before == (world.store.payloads("alice-access-token"), world.store.annotations("alice-refresh-token"))
    assert world.later(4000) == {"alice": "refreshed: refreshed"}


def test_a_provider_without_a_way_is_said_to_have_none(world: RunWorld) -> None:
    world.revoker.impossible = Misconfigured("provider google has no revocation_url")
    row = revoke(world, "alice")
    assert (row["outcome"], row["message"]) == ("misconfigured", "provider google has no revocation_url")
    assert (world.revoker.revoked, world.status("alice"), world.events()) == ([], None, [])


def test_a_missing_permission_is_misconfigured_and_nothing_is_sent(world: RunWorld) -> None:
    world.store.faults.fail("access", StoreDenied("grant secretmanager.versions.access"), times=99)
    row = revoke(world, "alice")
    assert (row["outcome"], row["message"]) == ("misconfigured", "grant secretmanager.versions.access")
    assert world.revoker.revoked == []


def test_a_newest_version_that_is_disabled_is_misconfigured_and_no_older_one_is_revoked(world: RunWorld) -> None:
    world.store.put("alice-refresh-token", "alice-second")
    world.store.set_state("alice-refresh-token", 2, "DISABLED")
    row = revoke(world, "alice")
    assert row["outcome"] == "misconfigured"
    assert "disabled" in str(row["message"])
    assert world.revoker.revoked == []


def test_a_dry_run_revokes_nothing(world: RunWorld) -> None:
    world.store.set_annotations("alice-refresh-token", {"token-refresh.lease": "nonsense"})
    calls = world.calls()
    row = revoke(world, "alice", dry_run=True)
    assert (row["outcome"], row["reason"]) == ("planned", "revoke")
    assert not {"annotate", "add", "destroy"} & set(world.calls()) | {"annotate"} & set(calls)
    assert world.revoker.revoked == []


def test_who_holds_the_lease_comes_first(world: RunWorld) -> None:
    note = f'{{"holder": "x", "until": {world.clock() + 60}, "version": 1}}'
    world.store.set_annotations("alice-refresh-token", {"token-refresh.lease": note})
    assert revoke(world, "alice")["outcome"] == "busy"
    assert world.revoker.revoked == []


def test_the_newest_token_is_revoked_although_latest_is_stale(world: RunWorld) -> None:
    world.store.cloud.stale["latest"] = 600
    world.clock.advance(700)
    world.store.put("alice-refresh-token", "alice-second")
    revoke(world, "alice")
    assert [token for token, _ in world.revoker.revoked] == ["alice-second"]


def test_others_of_the_same_client_and_account_are_named(world: RunWorld) -> None:
    world.add("alice-calendar", annotations={"token-refresh.subject": "17"})
    world.add("bob", annotations={"token-refresh.subject": "18"})
    assert revoke(world, "alice")["message"] == "same client and account: alice-calendar"


def test_so_they_are_where_the_payload_tells_whose_account_it_is(world: RunWorld) -> None:
    world.add("mail", '{"refresh_token": "mail-token", "sub": "18"}')
    world.add("mail-calendar", annotations={"token-refresh.subject": "18"})
    assert revoke(world, "mail", dry_run=True)["message"] == "same client and account: mail-calendar"
    assert revoke(world, "mail")["message"] == "same client and account: mail-calendar"


def test_so_they_are_where_their_payloads_tell_it(world: RunWorld) -> None:
    world.add("alice-calendar", '{"refresh_token": "calendar-token", "sub": "17"}')
    world.add("alice-drive", '{"refresh_token": "drive-token", "sub": "17"}', state="paused")
    world.add("bob", '{"refresh_token": "bob-token", "sub": "18"}')
    world.add("bare")
    world.add("broken", "{")
    world.add("empty", None)
    assert revoke(world, "alice")["message"] == "same client and account: alice-calendar, alice-drive"


def test_nothing_tells_of_a_bare_token_that_was_destroyed(world: RunWorld) -> None:
    world.add("job", annotations={"token-refresh.format": "text"})
    world.run()
    assert "token-refresh.access-token" in world.store.annotations("job-refresh-token")
    assert revoke(world, "job")["outcome"] == "revoked"
    assert "token-refresh.access-token" not in world.store.annotations("job-refresh-token")


def test_nothing_is_sent_later_than_run_seconds_after_the_begin(world: RunWorld) -> None:
    world.add("bob")
    world.revoker.takes = lambda: world.clock.advance(world.settings.run_seconds)
    rows = world.runner.run(Trigger(connections=("alice", "bob"), revoke=True)).document()["connections"]
    assert isinstance(rows, list)
    assert [(row["outcome"], row["reason"]) for row in rows] == [
        ("revoked", "revoked_by_operator"),
        ("deferred", "run_seconds"),
    ]
    assert [token for token, _ in world.revoker.revoked] == ["alice-token"]


def test_an_outage_of_secret_manager_is_to_be_tried_again(world: RunWorld) -> None:
    world.add("bob")
    world.store.faults.fail("access", StoreUnavailable("down"), times=99)
    with pytest.raises(StoreUnavailable):
        revoke(world, "alice", "bob")


def test_a_name_that_is_not_a_connection_revokes_nothing(world: RunWorld) -> None:
    with pytest.raises(UnknownConnection):
        revoke(world, "alice", "nobody")
    assert world.revoker.revoked == []


def test_a_state_that_cannot_be_written_is_remembered_all_the_same(world: RunWorld) -> None:
    world.store.faults.fail("annotate", StoreDenied("no"), secret_id="alice-refresh-token", skip=1, times=99)
    assert revoke(world, "alice")["outcome"] == "revoked"
    world.store.faults.active.clear()
    world.exchange.sent.clear()
    world.later(4000)
    assert world.events() == []


def test_a_crash_after_the_provider_s_confirmation_is_a_death_like_any_other(world: RunWorld) -> None:
    world.store.faults.fail("list_versions", Crash())
    with pytest.raises(Crash):
        revoke(world, "alice")
    world.dying("alice")
    world.new_instance()
    world.clock.advance(4000)
    assert world.confirmed() == {"alice": "needs_consent: revoked_or_expired"}
