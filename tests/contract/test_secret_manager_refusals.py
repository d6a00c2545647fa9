"""What Google's status codes mean, call by call: the real client and adapter over gRPC to the local Secret Manager.

FAILED_PRECONDITION is an etag that is another one by now, a version that is disabled or destroyed, or a key or policy
that stops every write; ABORTED is two writers at once. https://cloud.google.com/apis/design/errors#handling_errors
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import secretmanager_v1 as sm

from infra.local.secret_manager import SecretManagerServer
from tests.contract.backstage import ENABLED, PROJECT, Local
from token_refresh.adapters.secret_manager import SecretManager
from token_refresh.errors import (
    EtagConflict,
    QuotaExceeded,
    SecretMissing,
    StoreDenied,
    StoreRefused,
    StoreUnavailable,
    VersionUnusable,
)
from token_refresh.ports import SecretStore

Call = Callable[[SecretStore, str], Any]
CALLS: dict[str, tuple[str, Call]] = {
    "list": ("ListSecrets", lambda store, _: store.list_connections()),
    "get": ("GetSecret", lambda store, name: store.get(name)),
    "latest": ("AccessSecretVersion", lambda store, name: store.access(name)),
    "number": ("AccessSecretVersion", lambda store, name: store.access(name, 1)),
    "read": ("AccessSecretVersion", lambda store, name: store.read_latest(name)),
    "add": ("AddSecretVersion", lambda store, name: store.add(name, b"CANARY")),
    "destroy": ("DestroySecretVersion", lambda store, name: store.destroy(name, 1)),
    "annotate": ("UpdateSecret", lambda store, name: store.annotate(store.get(name), {"mine": "CANARY"})),
    "versions": ("ListSecretVersions", lambda store, name: store.list_versions(name)),
    "created": ("GetSecretVersion", lambda store, name: store.created_at(name, 1)),
}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[SecretManagerServer]:
    with SecretManagerServer(project=PROJECT) as server:
        yield server


@pytest.fixture
def local(server: SecretManagerServer) -> Iterator[Local]:
    yield Local(server)
    server.faults.clear()


@pytest.fixture
def name(local: Local) -> str:
    name = f"alice-{next(numbers)}-refresh-token"
    local.create(name, ENABLED, {"mine": "x"})
    local.put(name, b"one")
    return name


@pytest.mark.parametrize(
    ("call", "code", "error"),
    [
        *((call, "FAILED_PRECONDITION", VersionUnusable) for call in ("latest", "number", "read")),
        *((call, "FAILED_PRECONDITION", StoreRefused) for call in ("list", "get", "add", "versions", "created")),
        *((call, "FAILED_PRECONDITION", EtagConflict) for call in ("annotate",)),
        *((call, "ABORTED", EtagConflict) for call in ("annotate",)),
        ("add", "ABORTED", StoreUnavailable),  # after some tries, as below
        ("add", "RESOURCE_EXHAUSTED", QuotaExceeded),
        *((call, "INVALID_ARGUMENT", StoreRefused) for call in CALLS),
        *((call, "PERMISSION_DENIED", StoreDenied) for call in CALLS),
        *((call, "UNIMPLEMENTED", StoreRefused) for call in CALLS),
        *((call, "DATA_LOSS", StoreUnavailable) for call in CALLS),
        *((call, "UNAUTHENTICATED", StoreUnavailable) for call in CALLS),
    ],
)
def test_a_status_code_is_translated_and_no_text_of_the_service_gets_through(
    local: Local, name: str, call: str, code: str, error: type[Exception]
) -> None:
    rpc, act = CALLS[call]
    local.server.faults.add(rpc=rpc, code=code)
    with pytest.raises(error) as caught:
        act(local.store(), name)
    assert type(caught.value) is error
    assert "CANARY" not in str(caught.value)


def test_a_version_that_cannot_be_destroyed_any_more_is_gone_already(local: Local, name: str) -> None:
    local.server.faults.add(rpc="DestroySecretVersion", code="FAILED_PRECONDITION")
    local.store().destroy(name, 1)


def test_a_version_is_destroyed_under_the_real_service_s_rules(local: Local, name: str) -> None:
    for _ in range(2):
        local.store().destroy(name, 1)
    for call in ("latest", "number", "read"):
        with pytest.raises(VersionUnusable, match="disabled or destroyed"):
            CALLS[call][1](local.store(), name)


@pytest.mark.parametrize("code", ["FAILED_PRECONDITION", "ABORTED"])
def test_a_write_whose_answer_says_conflict_although_it_took_effect_is_ours(local: Local, name: str, code: str) -> None:
    store = local.store()
    local.server.faults.add(rpc="UpdateSecret", code=code, when="after")
    assert store.annotate(store.get(name), {"mine": "y"}).annotations["mine"] == "y"


def test_another_writer_s_etag_is_a_conflict_and_leaves_what_they_wrote(local: Local, name: str) -> None:
    store = SecretManager(local.client, f"projects/{PROJECT}")
    seen = store.get(name)
    change: Any = {"name": local.name(name), "annotations": {"mine": "theirs"}, "etag": seen.etag}
    local.client.update_secret(request=sm.UpdateSecretRequest(secret=change, update_mask={"paths": ["annotations"]}))
    with pytest.raises(EtagConflict):
        store.annotate(seen, {"mine": "ours"})
    assert store.get(name).annotations["mine"] == "theirs"


def test_a_secret_that_goes_between_the_conflict_and_the_look_is_missing(local: Local, name: str) -> None:
    store = local.store()
    seen = store.get(name)
    local.server.faults.add(rpc="UpdateSecret", code="FAILED_PRECONDITION")
    local.server.faults.add(rpc="GetSecret", code="NOT_FOUND")
    with pytest.raises(SecretMissing):
        store.annotate(seen, {"mine": "y"})
