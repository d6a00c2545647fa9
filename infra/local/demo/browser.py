"""Play the resource owner: open a link, fill in what the page asks for, press the button that goes ahead.

A browser without a screen, just enough for plain HTML forms: cookies, redirects, hidden fields, ticked boxes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

TIMEOUT = 30


@dataclass
class Form:
    """A form as the page holds it: where it goes, its fields, its buttons in order."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = True
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower()))
        elif self._open and tag in {"input", "button"}:
            self._add(found, found.get("type", "text" if tag == "input" else "submit"))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "form"

    def _add(self, found: dict[str, str], kind: str) -> None:
        form = self.forms[-1]
        pair = found.get("name", ""), found.get("value", "")
        if kind == "submit":
            form.buttons.append(pair)
        elif pair[0]:
            form.names.add(pair[0])
            if kind not in {"checkbox", "radio"} or "checked" in found:
                form.fields.append((pair[0], found.get("value", "on" if kind == "checkbox" else "")))


class Browser:
    """One person's browser; `page` is what it shows and `url` where that came from."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self.page = ""
        self.url = ""
        self.status = 0
        self.visited: list[str] = []

    def open(self, url: str) -> None:
        """Follow a link and every redirect after it."""
        self._show(self._session.get(url, timeout=TIMEOUT))

    def heading(self) -> str:
        """Read the text of the page's first heading; empty without one."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.page, re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", "", found[1])).split()) if found else ""

    def forms(self) -> list[Form]:
        """Find the forms of the page."""
        parser = _Forms()
        parser.feed(self.page)
        return parser.forms

    def submit(self, answers: Mapping[str, str] | None = None, *, without: tuple[tuple[str, str], ...] = ()) -> None:
        """Fill in the last form of the page, press its last button.

        `answers` are by field name; `without` are the boxes (name and value) to untick. Raises LookupError when the
        page has no form.
        """
        forms = self.forms()
        if not forms:
            raise LookupError(f"no form on the page at {self.url.partition('?')[0]}")
        form = forms[-1]
        answers = answers or {}
        fields = [pair for pair in form.fields if pair[0] not in answers and pair not in without]
        fields += [*answers.items(), *(pair for pair in form.buttons[-1:] if pair[0])]
        url = urljoin(self.url, form.action)
        if form.method == "post":
            headers = {"Referer": self.url, "Origin": "/".join(self.url.split("/", 3)[:3])}
            self._show(self._session.post(url, data=fields, headers=headers, timeout=TIMEOUT))
        else:
            self._show(self._session.get(url, params=fields, timeout=TIMEOUT))

    def go_ahead(self, *, email: str, password: str, without: tuple[tuple[str, str], ...] = ()) -> None:
        """Sign in where asked to and press the button of each page that has one, up to the callback or six pages."""
        for _ in range(6):
            forms = self.forms()
            if not forms or forms[-1].method != "post" or urlsplit(self.url).path.endswith("/callback"):
                return
            asked = forms[-1].names
            known = {"username": email, "email": email, "login": email, "password": password}
            self.submit({name: value for name, value in known.items() if name in asked}, without=without)

    def close(self) -> None:
        """Forget cookies and connections."""
        self._session.close()

    def _show(self, response: requests.Response) -> None:
        self.visited += [hop.url for hop in (*response.history, response)]
        self.page, self.url, self.status = response.text, response.url, response.status_code
