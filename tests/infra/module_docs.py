"""README tables of the Terraform modules, as terraform-docs has them: `python -m tests.infra.module_docs` rewrites."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.infra.plans import ROOT

MODULES: Final = ("infra", "infra/modules/connection", "infra/modules/secret", "infra/modules/shards")
_BEGIN: Final = "<!-- BEGIN_TF_DOCS -->"
_END: Final = "<!-- END_TF_DOCS -->"
_BLOCK: Final = re.compile(
    r'^(variable|output|resource|data|module|ephemeral) ((?:"[^"]+" ?)+)\{\n(.*?)^\}', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A block at the top of a configuration file."""

    kind: str
    labels: tuple[str, ...]
    body: str

    def argument(self, name: str) -> str | None:
        """Return the text of an argument, however many lines it takes."""
        heredoc = re.search(rf"^  {name} += <<-EOT\n(.*?)^  EOT", self.body, re.MULTILINE | re.DOTALL)
        if heredoc:
            return textwrap.dedent(heredoc[1]).strip()
        found = re.search(rf"^  {name} += (.*?)(?=^  \w|^$|\Z)", self.body, re.MULTILINE | re.DOTALL)
        return found[1].strip() if found else None


def blocks_of(folder: Path) -> list[Block]:
    """Read the blocks of a module's files, by name of their file."""
    found = (
        match for file in sorted(folder.glob("*.tf")) for match in _BLOCK.finditer(file.read_text(encoding="utf-8"))
    )
    return [Block(m[1], tuple(re.findall(r'"([^"]+)"', m[2])), m[3]) for m in found]


def providers_of(folder: Path) -> list[tuple[str, str]]:
    """Return what `required_providers` and `required_version` ask for."""
    text = (folder / "versions.tf").read_text(encoding="utf-8")
    terraform = re.findall(r'required_version = "([^"]+)"', text)
    return [
        ("terraform", terraform[0]),
        *re.findall(r'^    ([\w-]+) = \{\n.*?version = "([^"]+)"', text, re.MULTILINE | re.DOTALL),
    ]


def render(folder: Path) -> str:
    """Write the tables of one module."""
    blocks = blocks_of(folder)
    variables = sorted((b for b in blocks if b.kind == "variable"), key=lambda b: b.labels[0])
    outputs = sorted((b for b in blocks if b.kind == "output"), key=lambda b: b.labels[0])
    modules = sorted({b.labels[0]: b for b in blocks if b.kind == "module"}.items())
    resources = sorted({b.labels[:2] for b in blocks if b.kind in ("resource", "data", "ephemeral") and b.labels[1:]})
    parts = [
        _table("Requirements", ["Name", "Version"], [[name, version] for name, version in providers_of(folder)]),
        _table("Modules", ["Name", "Source"], [[name, (b.argument("source") or "").strip('"')] for name, b in modules]),
        _table("Resources", ["Name"], [[f"`{kind}.{name}`"] for kind, name in resources]),
        _table("Inputs", ["Name", "Description", "Type", "Default", "Required"], [_input(b) for b in variables]),
        _table("Outputs", ["Name", "Description"], [[b.labels[0], _cell(b.argument("description"))] for b in outputs]),
    ]
    return "\n\n".join(part for part in parts if part)


def documented(folder: Path) -> str:
    """Return the tables that the README shows."""
    return (folder / "README.md").read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0].strip()


def _input(block: Block) -> list[str]:
    default = block.argument("default")
    lines = [" ".join(line.split()) for line in (block.argument("type") or "any").splitlines()]
    kind = ", ".join(lines).replace("({, ", "({ ").replace(", }", " }")
    shown = "n/a" if default is None else f"`{' '.join(default.split())}`"
    return [
        block.labels[0],
        _cell(block.argument("description")),
        f"`{kind}`",
        shown,
        "yes" if default is None else "no",
    ]


def _cell(text: str | None) -> str:
    plain = " ".join((text or "").split()).removeprefix('"').removesuffix('"').replace('\\"', '"')
    return plain.replace("|", "\\|")


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rewrite() -> None:
    for name in MODULES:
        readme = ROOT / name / "README.md"
        text = readme.read_text(encoding="utf-8")
        before, after = text.split(_BEGIN)[0], text.split(_END)[1]
        readme.write_text(f"{before}{_BEGIN}\n{render(ROOT / name)}\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    _rewrite()
