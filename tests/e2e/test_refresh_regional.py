"""Regional secrets: another parent, everything else the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.worlds.stack import OWNER, StackWorld


def test_regional_secrets_are_refreshed_where_they_are(world: StackWorld, tmp_path: Path) -> None:
    location = "europe-west3"
    parent = f"{world.project}/locations/{location}"
    refresh_token = world.stack.authorization_server.create_grant("mailbox", OWNER)
    world.canaries.add(refresh_token)
    secrets = {
        "oauth-client-mailbox": ({}, world.read("oauth-client-mailbox")),
        "regional-access-token": ({}, ""),
        "regional-refresh-token": (
            {
                "labels": {"token-refresh": "enabled", "token-refresh-provider": "local"},
                "annotations": {"token-refresh.client": "oauth-client-mailbox"},
            },
            refresh_token,
        ),
    }
    for secret_id, (settings, payload) in secrets.items():
        world.client.create_secret(request={"parent": parent, "secret_id": secret_id, "secret": settings})
        if payload:
            request = {"parent": f"{parent}/secrets/{secret_id}", "payload": {"data": payload.encode()}}
            world.client.add_secret_version(request=request)
    assert world.post({"connections": ["regional"]}).status_code == 404, "the global function does not see it"
    with world.other("refresh_http", tmp_path, {"SECRET_MANAGER_LOCATION": location}) as function:
        report = world.post(to=function.url).json()
    assert [(one["name"], one["outcome"]) for one in report["connections"]] == [("regional", "refreshed")]
    name = f"{parent}/secrets/regional-access-token/versions/latest"
    document = json.loads(world.client.access_secret_version(request={"name": name}).payload.data)
    world.canaries.add(document["access_token"])
    assert world.userinfo(document["access_token"]).json()["email"] == OWNER
