"""Everything that a decision or a verdict about one connection may depend on, gathered once."""

from __future__ import annotations

from dataclasses import dataclass

from token_refresh.core.access_token import AccessTokenFacts
from token_refresh.core.state.timing import BackOff
from token_refresh.core.status import State, Status
from token_refresh.core.units import MINUTE


@dataclass(frozen=True, slots=True)
class Situation:
    """One connection as it stands now. Times in epoch seconds, margins in seconds."""

    name: str
    now: float
    status: Status | None = None
    facts: AccessTokenFacts | None = None
    is_unread: bool = False  # the stored access token could not be read: `facts` is not what is there
    margin: float = 0
    due_at: float = 0
    back_off: BackOff | None = None
    confirm_after: float = 900
    client: str = ""  # subject of events about the client
    # What may make it worth an attempt.
    force: bool = False
    lowest_version: int = 0  # of the connection secret: named by the trigger, or by the lease
    newest_version: int = 0  # of the connection secret, where the state makes it worth a look
    newest_client_version: int = 0  # of the client registration, likewise
    was_consenting: bool = False  # a consent took the lease and has not given it back
    # What was attempted.
    version: int = 0
    client_version: int = 0

    @property
    def state(self) -> State:
        """Return the state that the status tells."""
        return self.status.state if self.status else State.HEALTHY

    @property
    def is_low(self) -> bool:
        """Tell whether less than half the margin is left, or nothing at all; or it could not be read for so long."""
        if self.facts is not None:
            return self.facts.expires_at - self.now < self.margin / 2
        if not self.is_unread:
            return True
        return self.back_off is not None and self.now - self.back_off.began_at >= self.margin / 2

    @property
    def repeat_after(self) -> float:
        """Return how long a grant that was called dead is left alone, whatever is asked for."""
        return min(MINUTE, self.confirm_after)
