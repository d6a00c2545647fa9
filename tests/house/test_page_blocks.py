"""No block of code stands on a page without a test that runs or reads it; those without a cloud are run here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.pages import ROOT, blocks
from token_refresh.core.access_token import build_document
from token_refresh.core.http import HttpReply
from token_refresh.core.secrecy import Secret
from token_refresh.core.token_endpoint.classify import Asked, classify_reply
from token_refresh.core.token_endpoint.outcome import Refreshed
from token_refresh.core.trigger import parse_http_body
from token_refresh.providers import load_providers
from token_refresh.providers.discover import build_definition

HERE = "tests/house/test_page_blocks.py"
OPERATORS = "tests/infra/test_runbook_commands.py"
DIAGRAMS = "tests/peers/test_mermaid.py"
# Page and language of its blocks -> the test that runs them, or reads them where there is nothing to run.
RUN_BY = {
    ("CONTRIBUTING.md", "sh"): HERE,
    ("README.md", "json"): HERE,
    ("README.md", "sh"): OPERATORS,
    ("docs/architecture.md", "mermaid"): DIAGRAMS,
    ("docs/consent.md", "sh"): OPERATORS,
    ("docs/consumers.md", "json"): "tests/examples/test_docs.py",
    ("docs/consumers.md", "sh"): "tests/examples/test_docs.py",
    ("docs/contract.md", "json"): HERE,
    ("docs/deploy-gcloud.md", "hcl"): "tests/infra/test_gcloud_recipes.py",
    ("docs/deploy-gcloud.md", "sh"): "tests/infra/test_gcloud_recipes.py",
    ("docs/events/recipes.md", "sh"): "tests/infra/test_event_recipes.py",
    ("docs/events/recipes.md", "sql"): "tests/infra/test_event_recipes.py",
    ("docs/invalid-grant.md", "json"): "tests/examples/test_docs.py",
    ("docs/invalid-grant.md", "mermaid"): DIAGRAMS,
    ("docs/invalid-grant.md", "sh"): "tests/examples/test_docs.py",
    ("docs/local.md", "sh"): "tests/loopback/test_local_pages.py",
    ("docs/providers.md", "console"): HERE,
    ("docs/providers.md", "json"): HERE,
    ("docs/providers.md", "toml"): HERE,
    ("docs/risc.md", "sh"): "tests/infra/test_risc_page.py",
    ("docs/runbook.md", "sh"): OPERATORS,
    ("docs/security.md", "sh"): OPERATORS,
    ("docs/status.md", "sh"): "tests/loopback/test_local_pages.py",
    ("docs/which-one.md", "mermaid"): DIAGRAMS,
    ("infra/README.md", "hcl"): "tests/infra/test_readme.py",
    ("infra/modules/connection/README.md", "hcl"): "tests/infra/test_readme.py",
    ("token_refresh/connections/README.md", "python"): "tests/house/test_rooms.py",
    ("token_refresh/core/README.md", "python"): "tests/house/test_rooms.py",
    ("token_refresh/run/README.md", "python"): "tests/house/test_rooms.py",
}
# Pictures and addresses: nothing to run.
NOT_RUN = "text"


def pages() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_every_block_has_a_test() -> None:
    found = set()
    for page in pages():
        fences = re.findall(r"^ *```(\w*)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        found |= {(page, language or "no language") for language in fences[::2]}
    assert {pair for pair in found if pair[1] != NOT_RUN} == set(RUN_BY)


@pytest.mark.parametrize("test", sorted(set(RUN_BY.values())))
def test_the_test_of_a_block_reads_its_page(test: str) -> None:
    text = (ROOT / test).read_text(encoding="utf-8")
    assert [page for (page, _), by in RUN_BY.items() if by == test and Path(page).name not in text] == []


def test_make_knows_the_commands_for_contributors() -> None:
    (block,) = blocks("CONTRIBUTING.md", "sh")
    targets = re.findall(r"^make (\S+)", block, re.MULTILINE)
    assert targets
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_the_document_that_the_readme_shows_has_the_fields_that_are_written() -> None:
    shown = json.loads(blocks("README.md", "json")[0])
    scope = frozenset({"https://www.googleapis.com/auth/gmail.readonly"})
    refreshed = Refreshed(Secret("ya29..."), expires_at=shown["expires_at"], scope=" ".join(scope))
    written = build_document(refreshed, connection="gmail-alice", connection_version=1, now=shown["refreshed_at"])
    assert json.loads(written) == shown


def test_the_request_that_the_readme_shows_is_one() -> None:
    trigger = parse_http_body(blocks("README.md", "json")[1].encode())
    assert trigger is not None
    assert (trigger.connections, trigger.versions, trigger.clean) == (("gmail-alice",), {"gmail-alice": 7}, True)


def test_the_answer_that_the_contract_shows_has_the_fields_of_a_report() -> None:
    (shown,) = map(json.loads, blocks("docs/contract.md", "json"))
    text = (ROOT / "token_refresh/run/report.py").read_text(encoding="utf-8")
    assert [key for key in (*shown, *shown["connections"][0]) if f'"{key}"' not in text] == []


def test_the_definition_and_the_reply_that_the_page_on_providers_shows(tmp_path: Path) -> None:
    (definition,), (record,) = blocks("docs/providers.md", "toml"), map(json.loads, blocks("docs/providers.md", "json"))
    (tmp_path / "providers.toml").write_text(definition)
    (shown,) = (block for block in blocks("docs/providers.md", "console") if " check " in block)
    command, _, output = shown.removeprefix("$ ").partition("\n")
    done = subprocess.run(
        [sys.executable, *command.split()[1:]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert output.strip() in done.stdout
    reply = HttpReply(
        record["reply"]["status"], record["reply"]["headers"], json.dumps(record["reply"]["body"]).encode()
    )
    outcome = classify_reply(reply, load_providers(str(tmp_path / "providers.toml"))["acme"], Asked(0))
    assert {"outcome": type(outcome).__name__, "reason": outcome.reason} == record["expect"]  # type: ignore[union-attr]


def test_the_definition_of_an_mcp_server_is_what_discovery_writes() -> None:
    (shown,) = (block for block in blocks("docs/providers.md", "console") if block.startswith("$") and "mcp" in block)
    command, _, output = shown.partition("\n")
    source, today = re.findall(r"^# (\S+) \((.*)\)$", output, re.MULTILINE)[0]
    metadata = {
        "issuer": "https://auth.acme.example",
        "token_endpoint": "https://auth.acme.example/token",
        "authorization_endpoint": "https://auth.acme.example/authorize",
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    }
    resource, name = command.split()[-3], command.split()[-1]
    assert build_definition(name, metadata, source=source, today=today, resource=resource).strip() == output.strip()
