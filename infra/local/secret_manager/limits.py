"""What Secret Manager accepts (https://cloud.google.com/secret-manager/quotas and the API's field descriptions).

Every check raises InvalidArgument.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from infra.local.secret_manager.errors import require
from infra.local.secret_manager.messages import Message

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_ANNOTATION_BYTES = 16 * 1024
MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 63
MAX_LABEL_BYTES = 128
MAX_ALIASES = 50
MAX_TOPICS = 10
MIN_ROTATION_SECONDS = 3600
MAX_PAGE_SIZE = 25_000

_ANNOTATION_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_TOPIC = re.compile(r"projects/[^/]+/topics/[A-Za-z][\w.~+%-]{2,254}")


def check_secret(secret: Message, versions: Callable[[int], bool]) -> None:
    """Refuse metadata the real service refuses; `versions` tells whether a version number exists."""
    require(len(secret.labels) <= MAX_LABELS, f"No more than {MAX_LABELS} labels can be assigned to a secret.")
    for key, value in secret.labels.items():
        require(_is_label(key, starts_with_letter=True) and key != "", f"The label key [{key}] is not valid.")
        require(_is_label(value), f"The label value [{value}] of [{key}] is not valid.")
    for key in secret.annotations:
        require(_ANNOTATION_KEY.fullmatch(key), f"The annotation key [{key}] is not valid.")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in secret.annotations.items())
    require(size < MAX_ANNOTATION_BYTES, f"The total size of annotations is {size} bytes, the limit is 16 KiB.")
    require(len(secret.version_aliases) <= MAX_ALIASES, f"No more than {MAX_ALIASES} version aliases are allowed.")
    for alias, version in secret.version_aliases.items():
        valid = _ALIAS.fullmatch(alias) and alias not in ("latest", "NEW")
        require(valid, f"The version alias [{alias}] is not valid.")
        require(versions(version), f"The version alias [{alias}] names version [{version}], which does not exist.")
    require(len(secret.topics) <= MAX_TOPICS, f"No more than {MAX_TOPICS} topics can be set on a secret.")
    for topic in secret.topics:
        require(_TOPIC.fullmatch(topic.name), f"The topic name [{topic.name}] is not valid.")
    require(not secret.HasField("rotation") or secret.topics, "A secret with a rotation policy needs topics.")
    if secret.rotation.HasField("rotation_period"):
        require(secret.rotation.HasField("next_rotation_time"), "A rotation_period needs a next_rotation_time.")
        seconds = secret.rotation.rotation_period.seconds
        require(seconds >= MIN_ROTATION_SECONDS, f"The rotation_period is {seconds} s, the least is an hour.")


def check_payload(payload: Message, checksum: int) -> None:
    """Refuse a payload that is empty, above 64 KiB, or does not match the checksum sent with it."""
    require(payload.data, "Secret Payload cannot be empty.")
    size = len(payload.data)
    require(size <= MAX_PAYLOAD_BYTES, f"Secret Payload is {size} bytes, the limit is {MAX_PAYLOAD_BYTES} bytes.")
    if payload.HasField("data_crc32c"):
        require(payload.data_crc32c == checksum, "The provided checksum of the Secret Payload does not match its data.")


def _is_label(text: str, *, starts_with_letter: bool = False) -> bool:
    r"""Match `[\p{Ll}\p{Lo}\p{N}_-]{0,63}`, at most 128 bytes; a key starts with `[\p{Ll}\p{Lo}]`."""
    if len(text) > MAX_LABEL_CHARACTERS or len(text.encode()) > MAX_LABEL_BYTES:
        return False
    if starts_with_letter and text and unicodedata.category(text[0]) not in ("Ll", "Lo"):
        return False
    return all(character in "_-" or unicodedata.category(character) in _LABEL_CATEGORIES for character in text)


_LABEL_CATEGORIES = ("Ll", "Lo", "Nd", "Nl", "No")
