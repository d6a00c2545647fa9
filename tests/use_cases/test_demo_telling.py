"""The demo's story fits the terminal, and what is to be copied stays in one piece."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from infra.local.demo.telling import Teller
from infra.local.mail import Mail

WORDS = "one two three four-five token-refresh " * 12
COMMAND = f"curl -s http://127.0.0.1:12345 -d '{'x' * 150}'"
LINK = f"http://127.0.0.1:12345/consent/gmail-alan?ticket=abcdefgh{'z' * 90}"


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (100, 100), (200, 100)])
def test_every_line_but_a_command_fits_the_terminal(columns: int, widest: int) -> None:
    page = StringIO()
    tell = Teller(Console(file=page, width=columns))
    tell.chapter(WORDS)
    tell.say(WORDS)
    tell.row("needs_consent", WORDS, "red")
    tell.address("Status page", "http://127.0.0.1:12345")
    tell.mail(Mail(("ada@example.com",), "A subject", f"A subject\n\n{WORDS}\n\n{LINK}\n", sender="Acme <a@b.example>"))
    tell.command(1, WORDS, COMMAND)
    lines = page.getvalue().splitlines()
    assert [line for line in lines if len(line) > widest] == [COMMAND]


def test_a_mail_is_shown_as_it_is_read_without_the_ticket() -> None:
    page = StringIO()
    Teller(Console(file=page, width=80)).mail(
        Mail(("ada@example.com",), "A subject", f"A subject\n\nSome [bold]words\n{LINK}\n", sender="Acme <a@b.example>")
    )
    text = page.getvalue()
    for shown in ("Acme <a@b.example>", "ada@example.com", "Some [bold]words", "/consent/gmail-alan?ticket=abcdefgh…"):
        assert shown in text
    assert "zz" not in text
    assert text.count("A subject") == 1
