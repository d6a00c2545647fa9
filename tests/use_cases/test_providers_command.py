from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.worlds.providers_command import run_providers
from tests.worlds.recorded_replies import recorded
from token_refresh.errors import BadEnvironment
from token_refresh.providers import BUILT_IN, load_providers, read_tables

GOOD = """
[acme]
token_url = "https://{tenant}.acme.example/token"
authorization_url = "https://{tenant}.acme.example/authorize"
variables = { tenant = "" }
client_auth = "client_secret_basic"

[acme-assertion]
extends = "acme"
client_auth = "private_key_jwt"
request_format = "query"
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    return tmp_path / "providers.toml"


def test_there_are_at_least_ninety_five_built_in_providers() -> None:
    hosts_alone = [name for name in load_providers() if recorded(name) != name]
    assert len(load_providers()) - len(hosts_alone) >= 95
    assert load_providers()["google"].rotates is False


def test_every_built_in_provider_has_its_source_and_date_above_it() -> None:
    blocks = BUILT_IN.read_text().split("\n\n")
    tables = [block for block in blocks if re.search(r"^\[", block, re.MULTILINE)]
    assert len(tables) == len(load_providers())
    for block in tables:
        comment = block.partition("\n[")[0]
        assert "# https://" in comment, block
        assert re.search(r"\((?:catalogue of )?2026-\d\d-\d\d", comment), block


def test_a_file_adds_to_the_built_in_providers(write: Path) -> None:
    write.write_text(GOOD)
    providers = load_providers(str(write))
    assert providers["acme"].client_auth == "client_secret_basic"
    assert "google" in providers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[a]\n[b]\n", "PROVIDERS_FILE: a.token_url: is required; b.token_url: is required"),
        (b"a = \n", "PROVIDERS_FILE: providers.toml is not TOML"),
        (b"\xff", "PROVIDERS_FILE: providers.toml is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_everything_at_once(write: Path, content: bytes, message: str) -> None:
    write.write_bytes(content)
    with pytest.raises(BadEnvironment) as caught:
        load_providers(str(write))
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_there_is_named(write: Path) -> None:
    with pytest.raises(BadEnvironment, match=r"providers.toml cannot be read"):
        read_tables(write)


def test_check_shows_the_exact_request_with_secrets_masked(write: Path) -> None:
    write.write_text(GOOD)
    shown = run_providers("check", write).stdout
    assert "    POST https://TENANT.acme.example/token\n    Authorization: Basic ***\n" in shown
    assert "grant_type=refresh_token&refresh_token=***\n" in shown
    assert "grant_type=authorization_code&code=***&" in shown
    assert "&client_assertion=***" in shown
    assert "stand-in" not in shown
    assert shown.endswith("2 providers, nothing wrong.\n")


def test_check_says_what_is_wrong(write: Path) -> None:
    write.write_text("[a]\ntoken_uri = 1\n")
    assert run_providers("check", write, code=1).stdout.splitlines() == [
        "2 problems:",
        "a.token_url: is required",
        "a.token_uri: is not a key of a provider definition",
    ]
    assert "nowhere' does not exist" in run_providers("check", write.with_name("nowhere"), code=2).stderr
    write.write_bytes(b"\xff")
    assert "providers.toml is not TOML" in run_providers("check", write, code=1).stdout


@pytest.mark.parametrize(("mode", "code"), [("form_post", 1), ("fragment", 1), ("query", 0)])
def test_check_refuses_an_answer_that_the_callback_does_not_take(write: Path, mode: str, code: int) -> None:
    write.write_text(GOOD + f'\n[posting]\nextends = "acme"\nauthorization_params = {{ response_mode = "{mode}" }}\n')
    said = run_providers("check", write, code=code).stdout
    assert ("posting.authorization_params.response_mode: only" in said) == (code == 1)
    assert "posting" in load_providers(str(write))  # other connections go on at run time


def test_check_counts_one_as_one(write: Path) -> None:
    write.write_text('[a]\ntoken_url = "https://a.example/token"\n')
    assert run_providers("check", write).stdout.endswith("1 provider, nothing wrong.\n")
    write.write_text("[a]\n")
    assert run_providers("check", write, code=1).stdout.startswith("1 problem:\n")


def test_list_is_a_table_with_one_row_per_provider() -> None:
    rows = run_providers("list").stdout.splitlines()
    assert len(rows) == 2 + len(load_providers())
    assert all(row.count("|") == 9 for row in rows)
    google = "| `google` | post | form | stays | 1 h | 180 d unused | id_token |  |"
    assert google in rows


def test_check_refuses_a_definition_without_tls_which_at_run_time_concerns_its_own_connections_only(
    write: Path,
) -> None:
    write.write_text('[acme]\ntoken_url = "http://acme.example/token"\n')
    assert "acme.token_url: must be https://" in run_providers("check", write, code=1).stdout
    assert "acme" in load_providers(str(write))
