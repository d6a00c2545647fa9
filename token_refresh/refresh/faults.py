"""What a fault that an attempt, a look or a revocation meets means for its connection: one judgement for all of them.

log_fault(connection, fault)                # what no verdict tells
verdict = judge_fault(situation, fault)     # and `is_of_store(fault)`: would it stop every connection?
"""

from __future__ import annotations

import logging
from typing import Final

from token_refresh.core.connection import Connection
from token_refresh.core.state.situation import Situation
from token_refresh.core.state.verdict import Verdict, judge, judge_misconfigured, judge_never_consented
from token_refresh.core.token_endpoint.outcome import Unavailable
from token_refresh.errors import (
    Misconfigured,
    SecretMissing,
    StoreDenied,
    StoreError,
    StoreRefused,
    VersionMissing,
    VersionUnusable,
)

log = logging.getLogger("token_refresh")

# What a person must mend: the same again would fail again, and the message names fault and fix.
TO_MEND: Final = (Misconfigured, VersionUnusable, SecretMissing, StoreDenied, StoreRefused)


def judge_fault(situation: Situation, fault: Exception) -> Verdict:
    """Judge whatever was raised; the connection secret is the one that may have no version."""
    if isinstance(fault, VersionMissing):
        return judge_never_consented(situation)
    if isinstance(fault, TO_MEND):
        return judge_misconfigured(situation, str(fault))
    return judge(situation, Unavailable("secret_manager" if isinstance(fault, StoreError) else "internal_error"))


def is_of_store(fault: Exception) -> bool:
    """Tell whether it would stop every connection: Secret Manager does not answer, or a permission is missing."""
    of_one_secret = (VersionMissing, VersionUnusable, SecretMissing, StoreRefused)
    return isinstance(fault, StoreError) and not isinstance(fault, of_one_secret)


def log_fault(connection: Connection, fault: Exception) -> None:
    """Log what no verdict tells: what Secret Manager said, and of a defect neither its text nor a traceback."""
    if isinstance(fault, (VersionMissing, *TO_MEND)):
        return
    if isinstance(fault, StoreError):
        log.warning("%s: %s", connection.name, fault)
    else:
        log_defect(connection, fault)


def log_defect(connection: Connection, fault: BaseException) -> None:
    """Log what was not foreseen: its text may hold anything."""
    trace = fault.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "unknown"
    log.error("defect while working on %s: %s at %s", connection.name, type(fault).__name__, where)
