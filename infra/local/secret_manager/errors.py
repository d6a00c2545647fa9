"""How the service refuses: google.api_core exceptions, whose gRPC code and HTTP status both servers send."""

from __future__ import annotations

from collections.abc import Callable

from google.api_core.exceptions import FailedPrecondition, GoogleAPICallError, InvalidArgument


def api_error(kind: Callable[[str], GoogleAPICallError], message: str) -> GoogleAPICallError:
    """Build an exception of the client library."""
    return kind(message)


def require(condition: object, message: str) -> None:
    """Refuse a request that does not meet a condition. Raises InvalidArgument."""
    if not condition:
        raise api_error(InvalidArgument, message)


def check_etag(given: str, current: str, what: str) -> None:
    """Refuse a change made upon an outdated read; an empty etag is unconditional. Raises FailedPrecondition."""
    if given and given != current:
        raise api_error(FailedPrecondition, f"The etag [{given}] does not match the current etag of {what}.")
