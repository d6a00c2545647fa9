"""Faults of the fakes: any call fails, or the instance dies, before or after the call takes effect."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from token_refresh.errors import StoreUnavailable


class Crash(BaseException):
    """The process is killed: nothing catches it, and the instance makes no further call."""


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` matching calls, `before` or `after` they take effect."""

    operation: str
    error: BaseException
    secret_id: str = ""
    when: str = "before"
    skip: int = 0
    times: int = 1


class Faults:
    """The faults in force on one instance; after a `Crash` every call of it crashes."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.dead = False
        self._lock = threading.Lock()

    def fail(  # noqa: PLR0913 - a fault's fields
        self,
        operation: str,
        error: BaseException | None = None,
        *,
        secret_id: str = "",
        when: str = "before",
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """Let calls of `operation` fail: a method of `SecretStore`, `publish`, `exchange`, or `*` for any."""
        error = error or StoreUnavailable(f"cannot {operation}: injected")
        self.active.append(Fault(operation, error, secret_id, when, skip, times))

    def strike(self, operation: str, secret_id: str, when: str) -> None:
        with self._lock:
            if self.dead:
                raise Crash
            for fault in self.active:
                if fault.operation not in ("*", operation) or fault.secret_id not in ("", secret_id):
                    continue
                if fault.when != when or fault.times == 0:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                self.dead = self.dead or isinstance(fault.error, Crash)
                raise fault.error
