"""What Secret Manager accepts in a secret's metadata (https://cloud.google.com/secret-manager/quotas and the API's
field descriptions). Every check raises InvalidArgument."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from google.api_core.exceptions import InvalidArgument

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_ANNOTATION_BYTES = 16 * 1024
MAX_LABELS = 64
MAX_ALIASES = 50
MAX_TOPICS = 10
MAX_PAGE_SIZE = 25_000

_ANNOTATION_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_TOPIC = re.compile(r"projects/[^/]+/topics/[A-Za-z][\w.~+%-]{2,254}")


def check_secret(secret: Any, versions: Callable[[int], bool]) -> None:  # noqa: ANN401 - a protobuf Secret
    """Refuse metadata the real service refuses; `versions` tells whether a version number exists."""
    _require(len(secret.labels) <= MAX_LABELS, f"No more than {MAX_LABELS} labels can be assigned to a secret.")
    for key, value in secret.labels.items():
        _require(_is_label(key, starts_with_letter=True) and key != "", f"The label key [{key}] is not valid.")
        _require(_is_label(value), f"The label value [{value}] of [{key}] is not valid.")
    for key in secret.annotations:
        _require(_ANNOTATION_KEY.fullmatch(key), f"The annotation key [{key}] is not valid.")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in secret.annotations.items())
    _require(size < MAX_ANNOTATION_BYTES, f"The total size of annotations is {size} bytes, the limit is 16 KiB.")
    _require(len(secret.version_aliases) <= MAX_ALIASES, f"No more than {MAX_ALIASES} version aliases are allowed.")
    for alias, version in secret.version_aliases.items():
        valid = _ALIAS.fullmatch(alias) and alias not in ("latest", "NEW")
        _require(valid, f"The version alias [{alias}] is not valid.")
        _require(versions(version), f"The version alias [{alias}] names version [{version}], which does not exist.")
    _require(len(secret.topics) <= MAX_TOPICS, f"No more than {MAX_TOPICS} topics can be set on a secret.")
    for topic in secret.topics:
        _require(_TOPIC.fullmatch(topic.name), f"The topic name [{topic.name}] is not valid.")
    _require(not secret.HasField("rotation") or secret.topics, "A secret with a rotation policy needs topics.")


def check_payload(payload: Any, checksum: int) -> None:  # noqa: ANN401 - a protobuf SecretPayload
    """Refuse a payload that is empty, above 64 KiB, or does not match the checksum sent with it."""
    _require(payload.data, "Secret Payload cannot be empty.")
    size = len(payload.data)
    _require(size <= MAX_PAYLOAD_BYTES, f"Secret Payload is {size} bytes, the limit is {MAX_PAYLOAD_BYTES} bytes.")
    if payload.HasField("data_crc32c"):
        _require(payload.data_crc32c == checksum, "The provided checksum of the Secret Payload does not match its data.")


def _is_label(text: str, *, starts_with_letter: bool = False) -> bool:
    r"""Match `[\p{Ll}\p{Lo}\p{N}_-]{0,63}`, at most 128 bytes; a key starts with `[\p{Ll}\p{Lo}]`."""
    if len(text) > 63 or len(text.encode()) > 128:
        return False
    if starts_with_letter and text and unicodedata.category(text[0]) not in ("Ll", "Lo"):
        return False
    return all(character in "_-" or unicodedata.category(character) in _LABEL_CATEGORIES for character in text)


_LABEL_CATEGORIES = ("Ll", "Lo", "Nd", "Nl", "No")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise InvalidArgument(message)
