"""The protobuf messages the stack works on: those of the installed client, without its proto-plus wrapping."""

from __future__ import annotations

from typing import Any, TypeAlias

from google.cloud.secretmanager_v1.types import resources, service

# Generated message classes carry no types, nor does what json.loads returns.
Message: TypeAlias = Any
MessageClass: TypeAlias = Any
Json: TypeAlias = Any

Secret, SecretVersion = resources.Secret.pb(), resources.SecretVersion.pb()
AccessSecretVersionResponse = service.AccessSecretVersionResponse.pb()
ListSecretsResponse = service.ListSecretsResponse.pb()
ListSecretVersionsResponse = service.ListSecretVersionsResponse.pb()

ENABLED, DISABLED, DESTROYED = (SecretVersion.State.Value(state) for state in ("ENABLED", "DISABLED", "DESTROYED"))


def copy_of(message: Message) -> Message:
    """Copy a message, to change the copy."""
    copied = type(message)()
    copied.CopyFrom(message)
    return copied
