"""The Go examples, as they stand, with Debian's libraries, against the local stack with a token that ends meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.worlds.cloud import EXAMPLES, ROOT, SUBJECTS, Cloud

pytestmark = pytest.mark.timeout(600)
# Where Debian puts the sources of golang-google-api-dev; more may stand before it.
GOPATH = os.environ.get("GOPATH", "/usr/share/gocode")
AS_IN_THE_CLOUD = ROOT / "tests" / "examples" / "go" / "as_in_the_cloud.go"


def build(example: str, folder: Path) -> Path:
    sources = folder / "source"
    sources.mkdir()
    for source in (*(EXAMPLES / "go" / example).glob("*.go"), AS_IN_THE_CLOUD):
        shutil.copy(source, sources)
    program = folder / example
    environment = {**os.environ, "GOPATH": GOPATH, "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run(
        ["go", "build", "-o", str(program)], cwd=sources, env=environment, check=True, timeout=500, capture_output=True
    )
    return program


@pytest.fixture(scope="module")
def token_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is missing: its examples are not compiled")
    if not any(Path(path, "src/google.golang.org/api/gmail").is_dir() for path in GOPATH.split(":")):
        pytest.skip("google.golang.org/api is missing (Debian: golang-google-api-dev)")
    return build("token_source", tmp_path_factory.mktemp("go"))


def test_after_a_401_the_job_reads_the_newer_token(cloud: Cloud, name: str, token_source: Path) -> None:
    first = cloud.connect(name)
    cloud.refresh_meanwhile(name, refused=first)
    done = cloud.run([str(token_source)], {"CONNECTION": name})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.tokens_seen(first, cloud.newest(name)) == [("first", 200), ("first", 401), *[("second", 200)] * 3]


def test_where_there_is_no_newer_one_the_job_asks_through_the_topic(
    cloud: Cloud, name: str, token_source: Path
) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = cloud.run([str(token_source)], {"CONNECTION": name})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert cloud.newest(name) != first


def test_a_job_that_may_not_ask_fails_and_says_where_to_look(cloud: Cloud, name: str, token_source: Path) -> None:
    first = cloud.connect(name)
    cloud.end_meanwhile(refused=first)
    done = cloud.run([str(token_source)], {"CONNECTION": name, "REFRESH_TOPIC": ""})
    assert done.returncode == 1
    assert f"{name} is refused" in done.stderr


@pytest.mark.usefixtures("token_source")
def test_google_client_libraries_use_a_connection_without_a_line_of_code(
    cloud: Cloud, name: str, tmp_path: Path
) -> None:
    """Needs golang.org/x/oauth2 0.6.0 or later; Debian's 0.3.0 knows no token URL but Google's own, and says so."""
    first = cloud.connect(name)
    program = build("gmail_with_adc", tmp_path)
    done = cloud.run([str(program)], {"GOOGLE_APPLICATION_CREDENTIALS": str(cloud.credential_file(name))})
    if "invalid TokenURL" in done.stderr:
        assert not cloud.gmail.calls
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SUBJECTS
    assert {seen for seen, _ in cloud.tokens_seen(first)} == {"first"}
