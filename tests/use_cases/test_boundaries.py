"""Attacks on boundaries, one by one: what somebody who may annotate, label or consent can not do."""

from __future__ import annotations

import base64
import json

import pytest

from tests.worlds import consent_store, consents
from tests.worlds.boundaries import Project, consent_world, refresh


@pytest.fixture
def project() -> Project:
    return Project()


def test_a_project_without_an_adversary_works(project: Project) -> None:
    assert {entry["outcome"] for entry in project.run().values()} == {"refreshed"}
    assert {entry["outcome"] for entry in project.run().values()} == {"refreshed"}
    assert project.leaks() == []


@pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param("mallory-can-read-this", id="a secret that the annotator reads"),
        pytest.param("alice-dropbox-access-token", id="another connection's readers"),
        pytest.param("alice-dropbox-refresh-token", id="another connection's grant"),
        pytest.param("alice-google-refresh-token", id="its own grant"),
        pytest.param("oauth-client-google", id="a client registration"),
    ],
)
def test_an_annotation_does_not_choose_who_reads_the_token(project: Project, elsewhere: str) -> None:
    if elsewhere not in project.secrets:
        project.store.create(elsewhere)
    project.annotate("alice-google", access_token_secret=elsewhere)
    for _ in range(3):
        entry = project.run("alice-google")["alice-google"]
        assert entry["outcome"] == "misconfigured"
        assert "--remove-annotations=token-refresh.access-token-secret" in entry["message"]
    assert project.store.added == []
    assert project.store.destroyed == []
    assert project.wire.sent == []


@pytest.mark.parametrize(
    ("provider", "variables"),
    [
        ("okta", {"org": "evil"}),
        ("servicenow", {"instance": "evil"}),
        ("salesforce", {"domain": "evil.example"}),
        ("microsoft", {"tenant": "evil"}),
        ("dropbox", {}),
    ],
)
def test_a_client_secret_is_not_sent_to_another_provider(
    project: Project, provider: str, variables: dict[str, str]
) -> None:
    project.declare("mallory", "anything", provider, client="oauth-client-google", variables=json.dumps(variables))
    entry = project.run("mallory")["mallory"]
    assert entry["outcome"] == "misconfigured"
    assert project.wire.sent == []


@pytest.mark.parametrize("instance", ["evil", "one.evil", "evil.example.com.evil"])
def test_a_client_secret_is_not_sent_to_another_tenant_of_its_own_provider(project: Project, instance: str) -> None:
    project.declare("mallory", "anything", "servicenow", variables=json.dumps({"instance": instance}))
    entry = project.run("mallory")["mallory"]
    assert entry["outcome"] == "misconfigured"
    assert f'.allowed_variables.instance // empty] | flatten) + ["{instance}"]' in entry["message"]
    assert project.wire.sent == []


def test_a_tenant_that_the_registration_allows_may_be_chosen(project: Project) -> None:
    project.annotate("alice-servicenow", variables='{"instance": "two"}')
    assert project.run("alice-servicenow")["alice-servicenow"]["outcome"] == "refreshed"
    assert [sent.host for sent in project.wire.sent] == ["two.service-now.example.com"]


def test_a_relabelled_payload_does_not_take_its_client_elsewhere(project: Project) -> None:
    project.label("own-refresh-token", token_refresh_provider="google")
    assert project.run("own")["own"]["outcome"] == "misconfigured"
    project.label("own-refresh-token", token_refresh_provider="salesforce")
    assert project.run("own")["own"]["outcome"] == "misconfigured"
    assert project.wire.sent == []


def test_an_annotation_does_not_choose_for_whom_a_key_stands(project: Project) -> None:
    project.annotate("robot", owner="ceo@example.com")
    entry = project.run("robot")["robot"]
    assert entry["outcome"] == "misconfigured"
    assert '.subjects // empty] | flatten) + ["ceo@example.com"]' in entry["message"]
    assert project.wire.sent == []
    project.annotate("robot", owner="ada@example.com")
    assert project.run("robot")["robot"]["outcome"] == "refreshed"
    assertion = project.wire.sent[0].text.split("assertion=")[1].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(assertion + "=" * (-len(assertion) % 4)))
    assert claims["sub"] == "ada@example.com"


# -- what an owner's address bar can not do (the callback of a consent) ----------------------------------------------


def test_an_owners_address_bar_does_not_choose_where_secrets_go() -> None:
    world, wire = consent_world()
    world.consent(iss="", instance="evil", endpoint="stolen")
    assert world.store.newest() == 2
    assert refresh(world, wire) == "refreshed"
    assert len(wire.sent) == 2
    assert {sent.text.splitlines()[0] for sent in wire.sent} == {"https://ours.service.example.com/token"}
    stored = json.loads(world.store.payloads(consent_store.SECRET)[2])
    assert "variables" not in stored


def test_a_payload_that_was_poisoned_by_the_first_edition_does_no_harm_and_is_mended_by_the_next_consent() -> None:
    world, wire = consent_world()
    poisoned = {"refresh_token": consents.OLD_TOKEN, "variables": {"instance": "evil", "endpoint": "stolen"}}
    world.store.set_payload(json.dumps(poisoned))
    assert refresh(world, wire) == "refreshed"
    assert consents.is_saved(world.consent(iss=""))
    assert {sent.text.splitlines()[0] for sent in wire.sent} == {"https://ours.service.example.com/token"}
    newest = max(world.store.payloads(consent_store.SECRET).items())[1]
    assert "variables" not in json.loads(newest)


def test_what_the_definition_lists_is_learned_and_the_next_consent_starts_without_it() -> None:
    world, wire = consent_world(
        variables={"instance": "us", "endpoint": "token"},
        learned={"instance": ("us", "eu"), "endpoint": ("*",)},
        keep=("realmId",),
    )
    world.store.put("oauth-client-acme", json.dumps({"client_id": "id-1", "client_secret": consents.CLIENT_SECRET}))
    world.consent(iss="", instance="https://eu", endpoint="oauth", realmId="17")
    newest = json.loads(max(world.store.payloads(consent_store.SECRET).items())[1])
    assert newest["variables"] == {"instance": "eu", "endpoint": "oauth"}
    assert refresh(world, wire) == "refreshed"
    hosts = [sent.text.splitlines()[0] for sent in wire.sent]
    assert hosts == ["https://eu.service.example.com/oauth"] * 2, "the code, too, is redeemed where the callback says"
    world.start(world.link(1))
    assert consents.is_saved(world.finish(iss=""))
    assert wire.sent[-1].text.splitlines()[0] == "https://us.service.example.com/token"
    newest = json.loads(max(world.store.payloads(consent_store.SECRET).items())[1])
    assert "variables" not in newest


def test_a_dry_run_names_every_connection_that_the_rules_stop_and_touches_nothing(project: Project) -> None:
    project.annotate("alice-google", access_token_secret="mallory")
    project.annotate("alice-dropbox", client="oauth-client-google")
    project.annotate("alice-okta", variables='{"org": "umbrella"}')
    project.annotate("robot", owner="ceo@example.com")
    project.label("own-refresh-token", token_refresh_provider="okta")
    stopped = {"alice-google", "alice-dropbox", "alice-okta", "robot", "own"}
    found = project.run(force=False, dry_run=True)
    assert {name for name, entry in found.items() if entry["outcome"] == "misconfigured"} == stopped
    assert {entry["outcome"] for name, entry in found.items() if name not in stopped} == {"planned"}
    assert all("gcloud secrets" in found[name]["message"] for name in stopped)
    assert project.wire.sent == []
    assert project.store.added == []
    assert project.publisher.events == []
