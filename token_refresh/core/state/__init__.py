"""The states of a connection, and everything that moves it from one to another.

Rule 1: what decides when to ask a provider, and what its answer changes, lives in this room and nowhere else.

state           entered by                                left by
(absent)        a refresh
suspect         the provider calls the grant dead         tried in every run; a refusal CONFIRM_AFTER after the first
                                                          one confirms it, unless the breaker holds it
needs_consent   confirmed dead, or never consented        a newer version; probes after 15 min, 1 h, 4 h, then daily
rejected        the provider refuses client or request;   back-off 1 min .. 1 h; a newer version of connection or client
                the same silence for a day
unavailable     silence, or a fault of our own, and less  back-off 1 min .. 15 min with jitter, Retry-After
                than half the margin left
misconfigured   a fault on our side                       the fault is gone: looked for in each run, at no cost

situation   everything that a decision or a verdict may depend on, gathered once
policy      situation -> decision: attempt now, or what to report instead
verdict     situation and answer -> verdict: the new status, and what to announce
breaker     which deaths of one client are held back, because they point at the client
timing      when to refresh, how long to wait after a failure
grant_end   when a grant will end by itself, why one has died
"""
