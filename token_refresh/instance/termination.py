"""The end of the process: SIGTERM, and ten seconds.

https://cloud.google.com/run/docs/container-contract#instance-shutdown

The server that carries the function has a handler of its own, and Python lets only the main thread set handlers, while
requests are answered in others. So the main thread is asked to chain ours before the one that is there.
"""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Final, TypeVar

from token_refresh.instance.crew import side_by_side

log = logging.getLogger("token_refresh")

_LONGEST: Final = 60.0  # s; a platform waits for ten
_Pending = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_kept: list[Any] = []  # what C calls must not be collected
T = TypeVar("T")


def on_termination(work: Callable[[T], None], things: Callable[[], Iterable[T]]) -> None:
    """Do something for each of the things once SIGTERM arrives, beside what the server does then.

    For all at once, since ten seconds are too few for one after the other; and once, however often the signal comes.
    The process ends after it.
    """

    def install(_: object = None) -> int:
        before = signal.getsignal(signal.SIGTERM)
        # Not in the handler itself: it interrupts the main thread anywhere, locks held.
        worker = threading.Thread(
            target=lambda: side_by_side(work, things(), _LONGEST), name="token-refresh-termination"
        )
        signals: list[int] = []

        def handle(number: int, frame: FrameType | None) -> None:
            is_first = not signals
            signals.append(number)  # before the start, in the middle of which the next signal may come
            if is_first:
                worker.start()
            if callable(before):
                before(number, frame)
            elif is_first and before == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
                threading.Thread(target=_end_after, args=(worker, number)).start()

        signal.signal(signal.SIGTERM, handle)
        return 0

    if threading.current_thread() is threading.main_thread():
        install()
        return
    pending = _Pending(install)
    _kept.append(pending)
    if ctypes.pythonapi.Py_AddPendingCall(pending, None):
        log.warning("SIGTERM cannot be handled: what is not stored when it comes is lost with the process")
    elif main := threading.main_thread().ident:
        # It may sleep for a second. This signal wakes it and means nothing to the server: its handler only logs it.
        signal.pthread_kill(main, signal.SIGWINCH)


def _end_after(worker: threading.Thread, number: int) -> None:
    worker.join()
    signal.raise_signal(number)
