"""The dashboard is one that Cloud Monitoring's own messages can hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.plans import Plan
from tests.infra.recording import Recording


def fields_of(value: Any) -> set[str]:
    """Return every field name in a document, but for those whose value is empty and need not be sent."""
    if isinstance(value, dict):
        return {key for key, item in value.items() if item not in (0, "", [])} | fields_of(list(value.values()))
    if isinstance(value, list):
        return {name for item in value for name in fields_of(item)}
    return set()


def test_gcloud_sends_the_dashboard_without_losing_a_field(plan: Plan, tmp_path: Path) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud")
    (dashboard,) = plan.created("google_monitoring_dashboard").values()
    (tmp_path / "dashboard.json").write_text(dashboard["dashboard_json"])
    recording = Recording(
        "gcloud monitoring dashboards create --config-from-file=dashboard.json --project=my-project", tmp_path
    )
    assert not recording.complaints
    (request,) = recording.sent("POST", "/dashboards$")
    assert fields_of(request.body) == fields_of(json.loads(dashboard["dashboard_json"]))


def test_no_tile_covers_another(plan: Plan) -> None:
    (dashboard,) = plan.created("google_monitoring_dashboard").values()
    layout = json.loads(dashboard["dashboard_json"])["mosaicLayout"]
    cells = [
        (x, y)
        for tile in layout["tiles"]
        for x in range(tile.get("xPos", 0), tile.get("xPos", 0) + tile["width"])
        for y in range(tile.get("yPos", 0), tile.get("yPos", 0) + tile["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < layout["columns"]
