"""How the story is told: chapters with the time, sentences that wrap, a mail as it is read, commands to copy."""

from __future__ import annotations

import re
import textwrap
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from infra.local.mail import Mail

INDENT = "   "
# Longer lines are hard to follow, however wide the terminal is.
WIDEST = 100
# A consent link's ticket: nobody types it, and it would take three lines.
TICKET = re.compile(r"(\?ticket=.{8})\S+")


class Teller:
    """Tell on a console; nothing but a command to copy is longer than the terminal is wide."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._chapters = 0

    @property
    def width(self) -> int:
        """Count the columns that a line may have."""
        return min(self.console.width, WIDEST)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapters += 1
        head = f"{self._chapters:>2} "
        lines = textwrap.wrap(title, self.width - len(head) - len(" 00:00:00"), break_long_words=False)
        first, *rest = [f"[bold]{escape(line)}[/bold]" for line in lines]
        gap = " " * (self.width - len(head) - len(lines[0]) - len("00:00:00"))
        # The reader's own clock, as at the bottom of their screen.
        self._print(f"\n{head}{first}{gap}[dim]{datetime.now().astimezone():%H:%M:%S}[/dim]")
        for line in rest:
            self._print(f"{INDENT}{line}")

    def say(self, words: str, style: str = "") -> None:
        """Tell a sentence or two, wrapped."""
        for line in textwrap.wrap(words, self.width - len(INDENT), break_long_words=False, break_on_hyphens=False):
            self._print(f"{INDENT}[{style}]{escape(line)}[/]" if style else f"{INDENT}{escape(line)}")

    def row(self, head: str, words: str, style: str = "default") -> None:
        """Tell a sentence behind a word in colour; further lines hang below the first."""
        hanging = INDENT + " " * (len(head) + 2)
        lines = textwrap.wrap(words, self.width - len(hanging), break_long_words=False, break_on_hyphens=False) or [""]
        self._print(f"{INDENT}[{style}]{escape(head)}[/]  {escape(lines[0])}")
        for line in lines[1:]:
            self._print(f"{hanging}{escape(line)}")

    def address(self, name: str, url: str) -> None:
        """Name an address to open."""
        self._print(f"{INDENT}{escape(name)}  [bold]{escape(url)}[/bold]")

    def command(self, number: int, what: str, line: str) -> None:
        """Offer one thing to try: what it does, and one line to copy."""
        self.row(f"{number}.", what, "bold")
        self._print(f"[bold cyan]{escape(line)}[/]")

    def mail(self, mail: Mail) -> None:
        """Show a mail as its reader sees it, the ticket of its link cut."""
        head = Text.assemble(
            ("From     ", "dim"), mail.sender, ("\nTo       ", "dim"), ", ".join(mail.recipients),
            ("\nSubject  ", "dim"), (mail.subject, "bold"), "\n\n",
        )  # fmt: skip
        # The text begins with the subject once more, as the page of a mail does.
        body = mail.text.strip().removeprefix(mail.subject).strip()
        head.append(TICKET.sub(r"\1…", body).replace("\n\n\n", "\n\n"))
        head.highlight_regex(r"(?m)^Allow access$", "reverse bold")
        panel = Panel(head, width=self.width - len(INDENT), padding=(1, 2), border_style="dim")
        self.console.print(Padding(panel, (0, 0, 0, len(INDENT)), expand=False), highlight=False)

    def _print(self, line: str) -> None:
        # Lines are as wide as they may be; a terminal wraps what is meant to be copied in one piece.
        self.console.print(line, soft_wrap=True, highlight=False)
