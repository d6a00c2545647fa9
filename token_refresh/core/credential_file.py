"""The credential file with which Google's libraries ask `token` by themselves (AIP-4117, `external_account`).

https://google.aip.dev/auth/4117
"""

from __future__ import annotations

from typing import Final

from token_refresh.core.token_exchange import ACCESS_TOKEN, AUDIENCE

METADATA_HOST: Final = "metadata.google.internal"
_COMMAND_MILLIS: Final = 30_000


def build_credential_file(
    connection: str, token_url: str, *, command: str | None = None, metadata_host: str = METADATA_HOST
) -> dict[str, object]:
    """Build the file for a connection; it holds no secret.

    The caller's own token comes from the metadata server, or on a laptop from `command`, which prints what
    `build_executable_answer` builds. The libraries split it at white space and disagree about quotes: it has neither.
    """
    source: dict[str, object] = {
        "url": f"http://{metadata_host}/computeMetadata/v1/instance/service-accounts/default/token",
        "headers": {"Metadata-Flavor": "Google"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    }
    if command:
        source = {"executable": {"command": command, "timeout_millis": _COMMAND_MILLIS}}
    return {
        "type": "external_account",
        "audience": f"{AUDIENCE}{connection}",
        "subject_token_type": ACCESS_TOKEN,
        "token_url": token_url,
        "credential_source": source,
    }


def build_executable_answer(caller: str) -> dict[str, object]:
    """Build what an executable prints.

    The protocol has no name for an access token; the libraries pass on what it calls an ID token as it is.
    https://google.aip.dev/auth/4117#determining-the-subject-token-in-executable-sourced-credentials
    """
    kind = "urn:ietf:params:oauth:token-type:id_token"
    return {"version": 1, "success": True, "token_type": kind, "id_token": caller}
