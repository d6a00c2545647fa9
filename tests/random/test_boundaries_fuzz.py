"""Annotations, labels and callbacks at random: no secret reaches a host or a secret that the operator did not name.

What counts is what the real code sent and wrote (`Project.leaks`), not what it reported.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worlds import consents
from tests.worlds.boundaries import DEFINITIONS, Project, consent_world, definitions, refresh
from tests.worlds.depth import examples
from token_refresh.core.connection import connection_name

SECRETS = Project().secrets
CONNECTIONS = [secret.removesuffix("-refresh-token") for secret in SECRETS if secret.endswith("-refresh-token")]
OTHERS = ["mallory-secret", "mallory-access-token", "../x", "a b", "oauth-client-google-of-mallory"]
VARIABLES = ["org", "instance", "domain", "tenant", "server", "api", "accounts-server", "token_url", "client_id"]
# Values that may stand in a URL, and values that try to leave their place.
WELL_FORMED = st.one_of(
    st.sampled_from(["evil", "evil.example", "two", "acme", "zoho-eu.example", "login.salesforce.example"]),
    st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True),
)
ODD = st.one_of(
    st.sampled_from(["evil.example/", "https://evil.example", "*", "..", "evil.example?x=", "evil.example#", ""]),
    st.sampled_from(["evil.example:443", "user@evil.example", "evil.example%2f", "evil\\.example"]),
    st.text(max_size=12),
)
SECRET_IDS = st.sampled_from(SECRETS + OTHERS)
OWNERS = st.one_of(
    st.sampled_from(["*", "ceo@example.com", "ada@example.com", "ADA@EXAMPLE.COM"]), st.text(max_size=20)
)
NOTES = st.fixed_dictionaries(
    {},
    optional={
        "client": SECRET_IDS,
        "access_token_secret": SECRET_IDS,
        "variables": st.one_of(
            st.dictionaries(st.sampled_from(VARIABLES), WELL_FORMED, max_size=2),
            st.dictionaries(st.sampled_from(VARIABLES), ODD, max_size=2),
        ).map(json.dumps),
        "owner": OWNERS,
        "subject": OWNERS,
        "format": st.sampled_from(["json", "text", "x"]),
        "scopes": st.text(max_size=10),
        "status": st.text(max_size=10),
        "lease": st.sampled_from(["", "{}", '{"holder": "", "until": 0, "version": 1}', "nonsense"]),
        "access_token": st.text(max_size=10),
    },
)
LABELS = st.sampled_from([*DEFINITIONS, "evil"])
CHOICES = [
    (f"alice-{provider}", name) for provider, keys in definitions().items() for name in keys.variables
]  # where a variable of the annotator's may matter
# Somebody with `secretmanager.secrets.update`: annotates, relabels, and declares what was no connection as one.
MOVES = st.one_of(
    st.tuples(st.just("annotate"), st.sampled_from(CONNECTIONS), NOTES),
    st.tuples(st.just("choose"), st.sampled_from(CHOICES), st.one_of(WELL_FORMED, ODD)),
    st.tuples(st.just("relabel"), st.sampled_from(CONNECTIONS), LABELS),
    st.tuples(st.just("declare"), SECRET_IDS, LABELS),
    st.tuples(st.just("add"), st.sampled_from(["mallory", "alice-google", "oauth-client-google"]), NOTES),
)


def make(project: Project, move: tuple[str, Any, Any]) -> None:
    kind, name, what = move
    match kind:
        case "choose":
            project.annotate(name[0], variables=json.dumps({name[1]: what}))
        case "annotate":
            project.annotate(name, **what)
        case "relabel":
            project.label(f"{name}-refresh-token", token_refresh_provider=what)
        case "declare":
            if name in project.store.cloud.secrets:
                project.label(name, token_refresh="enabled", token_refresh_provider=what)
                create_place(project, connection_name(name))
        case _:
            if name not in project.store.cloud.secrets:
                notes = {f"token-refresh.{key}": value for key, value in what.items()}
                labels = {"token-refresh": "enabled", "token-refresh-provider": "okta"}
                project.store.create(name, f"CANARY-{name}", labels=labels, annotations=notes)
            create_place(project, name)


def is_access_token(payload: str) -> bool:
    return '"access_token"' in payload or re.search(r"\.access[0-9]+$", payload) is not None


def create_place(project: Project, name: str) -> None:
    if f"{name}-access-token" not in project.store.cloud.secrets:
        project.store.create(f"{name}-access-token")


@settings(max_examples=examples(150), deadline=None)
@given(moves=st.lists(MOVES, min_size=1, max_size=6), was_used_before=st.booleans())
def test_whatever_is_annotated_no_secret_goes_where_the_operator_did_not_send_it(
    moves: list[tuple[str, Any, Any]], *, was_used_before: bool
) -> None:
    project = Project()
    if was_used_before:
        project.run()
    for move in moves:
        make(project, move)
    written_before = len(project.store.added)
    for _ in range(3):
        project.run()
    assert project.leaks() == []
    for secret, payload in project.store.added[written_before:]:
        assert not (is_access_token(payload) and secret in project.reserved()), secret
    for secret in SECRETS:
        # What held a grant or a client still holds it, in its newest version.
        versions = project.store.cloud.secrets[secret].versions
        if not secret.endswith("-access-token"):
            assert versions[-1].state == "ENABLED"
            assert "access_token" not in versions[-1].payload.decode()


CALLBACK = st.dictionaries(
    st.one_of(
        st.sampled_from(
            [*VARIABLES, "endpoint", "shop", "realmId", "iss", "refresh_token", "variables", "client_secret"]
        ),
        st.text(min_size=1, max_size=8),
    ),
    st.one_of(WELL_FORMED, ODD),
    max_size=6,
)
LISTS = st.sampled_from([{}, {"endpoint": ("*",)}, {"instance": ("eu", "us"), "endpoint": ("*",)}])


@settings(max_examples=examples(100), deadline=None)
@given(CALLBACK, CALLBACK, LISTS)
def test_whatever_a_browser_brings_no_secret_leaves_the_hosts_of_the_operator(
    callback: dict[str, str], poison: dict[str, str], learned: dict[str, tuple[str, ...]]
) -> None:
    world, wire = consent_world(learned=learned)
    # The first edition kept whatever the address bar said.
    payload = {"refresh_token": consents.OLD_TOKEN, "variables": {k: v for k, v in poison.items() if k != "variables"}}
    world.store.set_payload(json.dumps(payload))
    refresh(world, wire)
    asked = {name: value for name, value in callback.items() if name not in {"code", "state", "iss", "error"}}
    world.consent(**{**asked, "iss": ""})
    refresh(world, wire)
    assert wire.sent
    for sent in wire.sent:
        assert sent.host == "ours.service.example.com"
        if not learned:
            assert urlsplit(sent.text.splitlines()[0]).path == "/token"
