"""The C# and Java examples, compiled against stand-ins for libraries that cannot be had here, and run with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.worlds.cloud import EXAMPLES, ROOT, Cloud

pytestmark = pytest.mark.timeout(180)
HERE = ROOT / "tests" / "examples"
QUICKLY = "-XX:TieredStopAtLevel=1"  # the second compiler costs more than it saves here


def run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documents() -> list[str]:
    """Give what the secret holds at each look: a token, the same after a 401, another, the same near its end."""
    now = int(time.time())
    return [
        json.dumps({"access_token": token, "expires_at": now + left, "expiry_date": (now + left) * 1000})
        for token, left in (("one", 3600), ("one", 3600), ("two", 3600), ("two", 60))
    ]


def test_java_reads_again_and_fails_with_words(tmp_path: Path) -> None:
    if not shutil.which("javac"):
        pytest.skip("javac is missing")
    for part in (HERE / "java" / "StandIns.java").read_text().split("//// ")[1:]:
        path, _, source = part.partition("\n")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)
    shutil.copy(EXAMPLES / "java" / "ConnectionCredentials.java", tmp_path)
    run(["javac", f"-J{QUICKLY}", "-Xlint:all", "-Werror", "-d", "out", *sorted(tmp_path.rglob("*.java"))], tmp_path)
    said = run(["java", QUICKLY, "-cp", "out", "Program", *documents()], tmp_path).splitlines()
    assert [line.split()[0] for line in (said[0], said[2], said[3])] == ["one", "two", "two"]
    assert said[1].startswith("The access token of gmail-alice is refused")


@pytest.fixture
def mono() -> None:
    if not (shutil.which("mcs") and shutil.which("mono")):
        pytest.skip("mono is missing: the C# examples are not compiled")


REFERENCES = "-r:System.Net.Http.dll,System.Runtime.Serialization.dll,System.Xml.dll,System.Xml.Linq.dll"


@pytest.mark.usefixtures("mono")
def test_csharp_reads_again_and_fails_with_words(tmp_path: Path) -> None:
    sources = [EXAMPLES / "csharp" / "ConnectionCredential.cs", *(HERE / "csharp").glob("*.cs")]
    run(["mcs", "-warnaserror", "-nowarn:1701,1702", REFERENCES, "-out:job.exe", *sources], tmp_path)
    said = run(["mono", "job.exe", *documents()], tmp_path).splitlines()
    assert [said[0], said[2], said[3]] == ["one True", "two True", "two False"]
    assert said[1].startswith("The access token of gmail-alice is refused")


@pytest.mark.usefixtures("mono")
def test_client_credentials_in_csharp_get_a_token_and_name_the_fault(cloud: Cloud, name: str, tmp_path: Path) -> None:
    """Run for real: only the reader of JSON is a stand-in."""
    sources = [EXAMPLES / "flows" / "ClientCredentials.cs", HERE / "csharp" / "StandIns.cs"]
    run(["mcs", REFERENCES, "-out:client.exe", *sources], tmp_path)
    server = cloud.world.stack.authorization_server
    client = server.create_client(name)
    server.change_client(name, authorization_grant_type="client-credentials")
    cloud.world.canaries.add(client.client_secret)
    environment = {
        "TOKEN_URL": server.token_url,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": client.client_secret,
        "SCOPE": "email",
    }
    command = ["mono", str(tmp_path / "client.exe")]
    done = cloud.run(command, environment)
    assert re.fullmatch(r"expires in \d+ s\n", done.stdout), done.stderr
    done = cloud.run(command, {**environment, "CLIENT_SECRET": "mistyped"})
    assert (done.returncode, done.stderr) == (1, "invalid_client\n")


@pytest.mark.usefixtures("mono")
def test_the_service_account_in_csharp_compiles_against_the_documented_api(tmp_path: Path) -> None:
    sources = [EXAMPLES / "flows" / "ServiceAccount.cs", HERE / "csharp" / "StandIns.cs"]
    run(["mcs", "-main:ServiceAccount", REFERENCES, "-out:service.exe", *sources], tmp_path)
    assert run(["mono", "service.exe", "key.json", "alice@example.com"], tmp_path) == "3\n"
