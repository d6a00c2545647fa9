"""The flows that people ask about, done right: against a real authorization server, with what goes wrong in each."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import urllib.parse
from pathlib import Path
from typing import Self

import pytest
import requests

from infra.local.demo.browser import Browser
from infra.local.processes.process import free_port
from tests.peers import npm
from tests.worlds.cloud import EXAMPLES, Cloud
from tests.worlds.stack import OWNER

pytestmark = pytest.mark.timeout(180)
FLOWS = EXAMPLES / "flows"


def client_file(cloud: Cloud, folder: Path, client_id: str, port: int = 0, **changes: str) -> Path:
    """Register a client and write the file as Google's console gives it out."""
    server = cloud.world.stack.authorization_server
    redirect_uri = f"http://127.0.0.1:{port or 1}/callback"
    client = server.create_client(client_id, redirect_uris=[redirect_uri])
    cloud.world.canaries.add(client.client_secret)
    web = {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "auth_uri": server.authorization_url,
        "token_uri": server.token_url,
        "redirect_uris": [redirect_uri],
    }
    path = folder / "client_secret.json"
    path.write_text(json.dumps({"web": {**web, **changes}}))
    return path


# -- Python: the refresh token -----------------------------------------------------------------------------------------


def refresh(cloud: Cloud, client: Path, refresh_token: str) -> subprocess.CompletedProcess[str]:
    path = client.parent / "refresh_token.txt"
    path.write_text(refresh_token)
    cloud.world.canaries.add(refresh_token)
    return cloud.fork([str(FLOWS / "refresh_token.py"), str(client), str(path)])


@pytest.mark.parametrize("spoil", [str, urllib.parse.quote_plus, "  {}\n".format], ids=["plain", "encoded", "pasted"])
def test_a_refresh_token_is_exchanged_however_it_was_pasted(
    cloud: Cloud, name: str, tmp_path: Path, spoil: type[str]
) -> None:
    client = client_file(cloud, tmp_path, name)
    grant = cloud.world.stack.authorization_server.create_grant(name, OWNER)
    done = refresh(cloud, client, spoil(grant))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("valid until ")


def test_a_refresh_token_that_is_replaced_is_kept(cloud: Cloud, name: str, tmp_path: Path) -> None:
    client = client_file(cloud, tmp_path, name)
    server = cloud.world.stack.authorization_server
    server.change_client(name, rotates_refresh_tokens=True)
    first = server.create_grant(name, OWNER)
    assert refresh(cloud, client, first).returncode == 0
    second = (tmp_path / "refresh_token.txt").read_text()
    assert second != first
    assert refresh(cloud, client, second).returncode == 0


def test_a_revoked_grant_asks_for_its_owner(cloud: Cloud, name: str, tmp_path: Path) -> None:
    client = client_file(cloud, tmp_path, name)
    grant = cloud.world.stack.authorization_server.create_grant(name, OWNER)
    cloud.world.stack.authorization_server.revoke(grant)
    done = refresh(cloud, client, grant)
    assert done.returncode == 1
    assert done.stderr.startswith("invalid_grant: the grant is gone")


def test_a_wrong_client_secret_is_not_the_owners_matter(cloud: Cloud, name: str, tmp_path: Path) -> None:
    client = client_file(cloud, tmp_path, name, client_secret="mistyped")
    done = refresh(cloud, client, cloud.world.stack.authorization_server.create_grant(name, OWNER))
    assert done.returncode == 1
    assert done.stderr.startswith("invalid_client: ")
    assert "not the owner's doing" in done.stderr


@pytest.mark.parametrize("wrong", ["ya29.a0-access", "4/0Ab-code"])
def test_what_is_no_refresh_token_is_not_sent(cloud: Cloud, name: str, tmp_path: Path, wrong: str) -> None:
    client = client_file(cloud, tmp_path, name)
    done = refresh(cloud, client, wrong)
    assert "not a refresh token" in done.stderr


def test_trouble_is_for_later(cloud: Cloud, name: str, tmp_path: Path) -> None:
    client = client_file(cloud, tmp_path, name)
    server = cloud.world.stack.authorization_server
    grant = server.create_grant(name, OWNER)
    server.fail(times=10, status=503)
    try:
        done = refresh(cloud, client, grant)
    finally:
        server.clear_faults()
    assert "later" in done.stderr


# -- Node: the authorization code --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = EXAMPLES / "node"
    if reason := npm.why_missing(source):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("flow")
    (folder / "node_modules").symlink_to(npm.install(source) / "node_modules")
    shutil.copy(FLOWS / "code_flow.mjs", folder)
    return folder


class Flow:
    """The program while it waits for its owner; leaving it ends it."""

    def __init__(self, cloud: Cloud, folder: Path, client: Path, port: int) -> None:
        self.token_file = client.parent / "refresh_token.txt"
        self.process = subprocess.Popen(
            ["node", "code_flow.mjs", str(client), "openid email", str(self.token_file)],
            cwd=folder,
            env=cloud.environment(PORT=str(port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Open (\S+)\n", line)
        assert found, line
        self.url = found[1]

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=30)


def test_an_owners_consent_becomes_a_refresh_token_that_works(
    cloud: Cloud, name: str, tmp_path: Path, folder: Path
) -> None:
    port = free_port()
    client = client_file(cloud, tmp_path, name, port)
    with Flow(cloud, folder, client, port) as flow:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(flow.url).query))
        assert (asked["access_type"], asked["prompt"], asked["code_challenge_method"]) == ("offline", "consent", "S256")
        forged = requests.get(f"http://127.0.0.1:{port}/callback?code=x&state=forged", timeout=10)
        assert forged.status_code == 403
        browser = Browser()
        browser.open(flow.url)
        browser.go_ahead(email=OWNER, password="demo")
        browser.close()
        assert browser.status == 200, browser.page
        assert flow.end() == (0, "")
    refresh_token = flow.token_file.read_text()
    assert stat.S_IMODE(flow.token_file.stat().st_mode) == 0o600
    assert refresh(cloud, client, refresh_token).returncode == 0


def test_a_code_that_has_been_used_is_an_invalid_grant(cloud: Cloud, name: str, tmp_path: Path, folder: Path) -> None:
    port = free_port()
    with Flow(cloud, folder, client_file(cloud, tmp_path, name, port), port) as flow:
        state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(flow.url).query))["state"]
        url = f"http://127.0.0.1:{port}/callback?code=spent&state={state}"
        assert requests.get(url, timeout=30).text == "invalid_grant\n"
        assert flow.end() == (1, "invalid_grant\n")
    assert not flow.token_file.exists()


def test_an_owner_who_says_no_is_heard(cloud: Cloud, name: str, tmp_path: Path, folder: Path) -> None:
    port = free_port()
    with Flow(cloud, folder, client_file(cloud, tmp_path, name, port), port) as flow:
        state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(flow.url).query))["state"]
        url = f"http://127.0.0.1:{port}/callback?error=access_denied&state={state}"
        assert requests.get(url, timeout=30).status_code == 400
        assert flow.end() == (1, "access_denied\n")
