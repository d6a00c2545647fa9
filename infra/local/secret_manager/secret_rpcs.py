"""The RPCs on secrets and on their IAM policies, named as in the client library."""

from __future__ import annotations

from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from google.iam.v1 import iam_policy_pb2
from google.protobuf import empty_pb2

from infra.local.secret_manager.errors import api_error, check_etag, require
from infra.local.secret_manager.filters import parse_filter
from infra.local.secret_manager.limits import check_secret
from infra.local.secret_manager.messages import ListSecretsResponse, Message, Secret, copy_of
from infra.local.secret_manager.names import check_secret_id, parse_name
from infra.local.secret_manager.paging import cut_page
from infra.local.secret_manager.store import Store, StoredSecret

UPDATABLE = frozenset(
    {
        "annotations",
        "customer_managed_encryption",
        "expire_time",
        "labels",
        "rotation",
        "rotation.next_rotation_time",
        "rotation.rotation_period",
        "topics",
        "ttl",
        "version_aliases",
        "version_destroy_ttl",
    }
)


class SecretRpcs:
    """Answer with a protobuf response, or raise a google.api_core exception, whose code is sent."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_secret(self, request: Message) -> Message:
        """Create a secret without versions."""
        parent = parse_name(request.parent, "parent")
        check_secret_id(request.secret_id)
        name = parent.of_secret(request.secret_id)
        secret = copy_of(request.secret)
        secret.name = str(name)
        replicated = secret.replication.WhichOneof("replication") is not None
        if parent.location:
            require(not replicated, "A regional secret has no replication policy.")
        else:
            require(replicated, "The replication policy of a secret is required.")
        check_secret(secret, lambda _number: False)
        with self._store.lock:
            existing = self._store.find_past(name)
            if existing and existing.message.current:
                raise api_error(AlreadyExists, f"Secret [{name}] already exists.")
            secret.create_time.FromDatetime(self._store.now())
            self._stamp(secret)
            self._store.put(name, secret)
            self._store.notifications.confirm([topic.name for topic in secret.topics], secret)
            self._store.notifications.send("SECRET_CREATE", secret)
            return secret

    def get_secret(self, request: Message) -> Message:
        """Return a secret's metadata, maybe not the newest."""
        name = parse_name(request.name, "secret")
        with self._store.lock:
            stored = self._store.find_past(name)
            secret = stored and stored.message.at(self._store.faults.visible_until("metadata"))
        if not secret:
            raise api_error(NotFound, f"Secret [{name}] not found.")
        return secret

    def list_secrets(self, request: Message) -> Message:
        """List the secrets of a project or location."""
        parent = parse_name(request.parent, "parent")
        matches = parse_filter(request.filter, Secret)
        with self._store.lock:
            moment = self._store.faults.visible_until("lists")
            stored = self._store.newest_first(parent)
            seen = ((item.sequence, secret) for item in stored if (secret := item.message.at(moment)))
            page, token, total = cut_page(seen, request, matches)
        return ListSecretsResponse(secrets=page, next_page_token=token, total_size=total)

    def update_secret(self, request: Message) -> Message:
        """Replace the fields of the mask; labels, annotations and aliases as whole maps.

        The etag is checked against the true state, whatever stale reads may show.
        """
        name = parse_name(request.secret.name, "secret")
        mask = request.update_mask
        require(mask.paths, "The update mask is required and cannot be empty.")
        for path in mask.paths:
            require(path in UPDATABLE, f"The update mask path [{path}] is unknown or its field cannot be updated.")
        with self._store.lock:
            stored = self._store.find(name)
            old = stored.message.current
            check_etag(request.secret.etag, old.etag, f"Secret [{name}]")
            secret = copy_of(old)
            mask.MergeMessage(request.secret, secret, replace_message_field=True, replace_repeated_field=True)
            if "ttl" in mask.paths and not request.secret.HasField("ttl"):
                secret.ClearField("expire_time")
            check_secret(secret, stored.versions.__contains__)
            self._stamp(secret)
            self._store.replace(stored.message, secret)
            known = {topic.name for topic in old.topics}
            added = [topic.name for topic in secret.topics if topic.name not in known]
            self._store.notifications.confirm(added, secret)
            self._store.notifications.send("SECRET_UPDATE", secret)
            return secret

    def delete_secret(self, request: Message) -> Message:
        """Delete a secret and all its versions."""
        name = parse_name(request.name, "secret")
        with self._store.lock:
            stored = self._store.find(name)
            check_etag(request.etag, stored.message.current.etag, f"Secret [{name}]")
            self._store.delete(stored, "REQUESTED")
        return empty_pb2.Empty()

    def rotate(self, resource: str) -> None:
        """Announce that it is time to rotate a secret and set its next rotation. Raises FailedPrecondition."""
        with self._store.lock:
            stored = self._find(resource)
            secret = copy_of(stored.message.current)
            if not secret.HasField("rotation"):
                raise api_error(FailedPrecondition, f"Secret [{secret.name}] has no rotation policy.")
            if secret.rotation.HasField("rotation_period"):
                due = self._store.now() + secret.rotation.rotation_period.ToTimedelta()
                secret.rotation.next_rotation_time.FromDatetime(due)
            else:
                secret.rotation.ClearField("next_rotation_time")
            secret.etag = self._store.new_etag()
            self._store.replace(stored.message, secret)
            self._store.notifications.send("SECRET_ROTATE", secret)

    def get_iam_policy(self, request: Message) -> Message:
        """Return the secret's own policy."""
        with self._store.lock:
            return self._find(request.resource).policy

    def set_iam_policy(self, request: Message) -> Message:
        """Replace the secret's own policy, which `Callers` enforces once it has issued a token."""
        with self._store.lock:
            stored = self._find(request.resource)
            if request.policy.etag not in (b"", stored.policy.etag):
                raise api_error(Aborted, "There were concurrent policy changes; read the policy again.")
            policy = copy_of(request.policy)
            policy.etag = self._store.new_etag().encode()
            stored.policy = policy
            return policy

    def test_iam_permissions(self, request: Message) -> Message:
        """Grant every permission asked for."""
        with self._store.lock:
            self._find(request.resource)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=request.permissions)

    def policy_of(self, resource: str) -> Message | None:
        """Give the policy of the secret that a call is about, None when there is none."""
        try:
            name = parse_name(resource, "version" if "/versions/" in resource else "secret")
            with self._store.lock:
                return self._store.find(name.of_its_secret).policy
        except (InvalidArgument, NotFound):
            return None

    def _find(self, resource: str) -> StoredSecret:
        return self._store.find(parse_name(resource, "secret"))

    def _stamp(self, secret: Message) -> None:
        """Set what the service sets: a new etag, the expiry a TTL amounts to; drop what is input only."""
        secret.etag = self._store.new_etag()
        if secret.HasField("ttl"):
            secret.expire_time.FromDatetime(self._store.now() + secret.ttl.ToTimedelta())
        secret.ClearField("tags")
