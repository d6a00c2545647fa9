"""What the status page looks like: rows and what is said of all of them as HTML.

Whatever the server writes is the same until something changes: moments are absolute, and the page's script counts down.
So a page that looks again learns by a digest that there is nothing new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final
from urllib.parse import urlencode

from flask import Response
from markupsafe import Markup

from token_refresh.core.incident.words import Fix
from token_refresh.core.overview.explain import NO_RUN, Explanation, explain
from token_refresh.core.overview.listing import (
    ATTENTION,
    BY_STANDING,
    SORTS,
    Group,
    Listing,
    Query,
    build_listing,
    find_last_run,
    headline,
    is_silent,
    needs_attention,
)
from token_refresh.core.overview.place import (
    build_commands,
    build_first_steps,
    build_grant_command,
    build_logs_url,
    build_scheduler_commands,
    build_secret_url,
)
from token_refresh.core.overview.row import Row, Standing
from token_refresh.errors import StoreDenied, StoreError
from token_refresh.overview import Overview, View
from token_refresh.ports import ActionTokens
from token_refresh.web.pages import render, respond
from token_refresh.words import load_words

WORDS: Final = {
    ATTENTION: "Needs attention",
    Standing.NEEDS_CONSENT: "Needs consent",
    Standing.REJECTED: "Rejected",
    Standing.MISCONFIGURED: "Misconfigured",
    Standing.OVERDUE: "Overdue",
    Standing.UNREADABLE: "Cannot be read",
    Standing.CANNOT_KEEP_FRESH: "Cannot be kept fresh",
    Standing.UNAVAILABLE: "Unavailable",
    Standing.SUSPECT: "Suspect",
    Standing.NEW: "Not run yet",
    Standing.HEALTHY: "Healthy",
    Standing.PAUSED: "Paused",
}
_MARK: Final = "<!--rows-->"
# Signatures and the moment of the look are new each time: they are not news.
_PASSING: Final = re.compile(r'(?<=ticket=)[^"]+|(?<=name="action" value=")[^"]+|(?<=As of</span> )<time.*?</time>')
# s: but a page that stays open gets new ones before the old ones end.
_SIGNED_ANEW: Final = 6 * 3600
_FOLDS_OPEN: Final = (Standing.NEW,)


@dataclass(frozen=True, slots=True)
class StatusView:
    """Render the status page. `redirect_uri` is the one to register at providers, or empty without `consent`.

    `actions` None: there is no key that all instances share, and a browser's word must do.
    """

    overview: Overview
    actions: ActionTokens | None
    redirect_uri: str
    runbook_url: str
    clock: Callable[[], float]

    def page(self, body: str | Iterator[str], *, status: int = 200) -> Response:
        """Return the page around `body`; what comes piece by piece is sent as it comes, after the page's head."""
        shell = render("status", {"place": self.overview.place})
        head, _, foot = shell.partition(_MARK)
        pieces = head + body + foot if isinstance(body, str) else chain((head,), body, (foot,))
        response = respond(pieces, status=status, script="status")
        # `no-referrer` would make browsers hide where a form comes from.
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    def title(self, view: View) -> str:
        """Return the page's title, as a tab shows it."""
        urgent = sum(map(needs_attention, view.rows))
        name = f"Connections · {self.overview.place.project}"
        return f"({urgent}) {name}" if urgent else name

    def body(self, view: View, query: Query, *, requested: str | None, opened: str) -> tuple[str, str]:
        """Return the HTML of everything below the page's head, and a digest that changes with what it says."""
        place, rules = self.overview.place, self.overview.rules
        if not view.rows:
            html = render("status_empty", {"steps": build_first_steps(place), "redirect_uri": self.redirect_uri})
            return html, _digest(html, self.clock())
        listing = build_listing(view.rows, query)
        silent = is_silent(view.rows, view.at, rules.run_every)
        facts = {
            "as_of": view.at,
            "title": self.title(view),
            "headline": headline(listing),
            "listing": listing,
            "query": query,
            "chips": self._chips(listing, query),
            "sorts": SORTS,
            "groups": [self._group(group, query, opened) for group in listing.groups],
            "more": self._more(listing, query),
            "requested": requested if any(row.name == requested for row in view.rows) else None,
            "silence": find_last_run(view.rows) if silent else None,
            "is_silent": silent,
            Standing.OVERDUE: sum(row.overdue for row in view.rows),
            "remedies": build_scheduler_commands(place),
            "runbook": self._runbook(Fix("", section=NO_RUN)),
            "runs_url": build_logs_url(place),
        }
        html = render("status_rows", facts)
        return html, _digest(html, self.clock())

    def one(self, name: str, row: Row | None) -> str:
        """Return the HTML of one connection, with all that is known of it."""
        facts: dict[str, object] = {"name": name, "row": self._row(row, opened=True) if row else None}
        facts["history"] = Markup(self.history(name)) if row else None  # noqa: S704 - rendered here
        return render("status_one", facts)

    def row_now(self, row: Row) -> dict[str, object]:
        """Return one row as the page's script takes it: `mark` tells whether there has been an attempt."""
        is_good = row.standing in (Standing.HEALTHY, Standing.CANNOT_KEEP_FRESH)  # a refresh was asked for: it is done
        said = "Refreshed." if is_good else f"{WORDS[row.standing]}."
        return {
            "name": row.name,
            "mark": row.mark,
            "html": self._row(row),
            "said": said,
            "good": is_good,
        }

    def history(self, name: str) -> str:
        """Return the HTML of the versions of a connection's secrets."""
        return render("status_history", {"history": self.overview.history(name)})

    def fault(self, fault: StoreError) -> str:
        """Return the HTML that says why there is nothing to show."""
        facts = {"fault": str(fault), "is_forbidden": isinstance(fault, StoreDenied)}
        return render("status_fault", {**facts, "command": build_grant_command(self.overview.place)})

    def _group(self, group: Group, query: Query, opened: str) -> dict[str, Any]:
        shared = group.rows[0] if group.incident and group.rows else None
        fold = group.fold
        return {
            "list": [self._row(row) for row in group.rows],
            "total": group.total,
            "hidden": group.total - len(group.rows),
            "shared": shared,
            "next": self._explain(shared).next if shared else (),
            "client": shared.status.client or shared.connection.client_secret_id if shared and shared.status else None,
            "fold": fold,
            "is_open": fold in (*opened.split("."), *_FOLDS_OPEN),
            "words": WORDS[fold] if fold else "",
            "all_url": _url(query, state=fold) if fold else _url(query, incident=group.incident),
        }

    def _row(self, row: Row, *, opened: bool = False) -> Markup:
        place, c = self.overview.place, row.connection
        explanation = self._explain(row)
        # A link that leads an owner to a provider's refusal stands where only those look who know.
        is_link_aside = (
            row.state in (Standing.REJECTED, Standing.MISCONFIGURED, Standing.UNAVAILABLE) or row.remedy == "ask_admin"
        )
        facts = {
            "row": row,
            "c": c,
            "status": row.status,
            "words": WORDS[row.standing],
            "e": explanation,
            "runbook": self._runbook(explanation.fix) if explanation.fix else None,
            "consent_url": self.overview.consent_url(row),
            "is_link_aside": is_link_aside,
            "is_urgent": row.standing == Standing.NEEDS_CONSENT and not is_link_aside,
            "action": self.actions.action(row.name) if self.actions else None,
            "commands": build_commands(c, row.standing, place),
            "secret_url": build_secret_url(place, c.secret_id),
            "token_url": build_secret_url(place, c.access_token_secret_id),
            "client_url": build_secret_url(place, c.client_secret_id),
            "logs_url": build_logs_url(place, c.name),
            "opened": opened,
        }
        html = render("status_row", facts)
        return Markup(html.replace('data-key=""', f'data-key="{_digest(html, self.clock())}"', 1))  # noqa: S704

    def _explain(self, row: Row) -> Explanation:
        project, run_every = self.overview.place.project, self.overview.rules.run_every
        return explain(row, load_words(), project=project, run_every=run_every, now=self.clock())

    def _runbook(self, fix: Fix) -> tuple[str, str] | None:
        """Return heading and link (or, without a URL, where the file is); None when the runbook has nothing on it."""
        return (fix.section, f"{self.runbook_url}#{fix.anchor}" if self.runbook_url else "") if fix.section else None

    @staticmethod
    def _chips(listing: Listing, query: Query) -> list[dict[str, object]]:
        chips: list[tuple[str, str, int]] = [("", "All", listing.total)]
        if listing.attention:
            chips.append((ATTENTION, WORDS[ATTENTION], listing.attention))
        chips += [(state, WORDS[state], number) for state, number in listing.counts]
        return [
            {
                "state": s,
                "words": words,
                "number": number,
                "url": _url(query, state=s, incident=""),
                "on": s == query.state,
            }
            for s, words, number in chips
        ]

    @staticmethod
    def _more(listing: Listing, query: Query) -> str | None:
        """Return the address that shows more rows, where some are left out."""
        last = next((g for g in reversed(listing.groups) if not g.fold and not g.incident), None)
        return _url(query, n=query.size * 2) if last and last.total > len(last.rows) else None


def _url(query: Query, **changes: object) -> str:
    """Return the address of the same view with some things changed."""
    asked = {
        "state": query.state,
        "q": query.words,
        "incident": query.incident,
        "sort": query.sort if query.sort != BY_STANDING else "",
        **changes,
    }
    return "?" + urlencode({k: v for k, v in asked.items() if v})


def _digest(html: str, now: float) -> str:
    said = f"{_PASSING.sub('', html)}{now // _SIGNED_ANEW}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
