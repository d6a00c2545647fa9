"""Read what a plan gives Cloud Monitoring with Cloud Monitoring's own messages and a PromQL parser.

    python infra/check_monitoring.py PLAN.json      as `terraform show -json` writes it

Ends with 1 and a line for each fault.
"""
# ruff: noqa: INP001, T201 - a command

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import promql_parser
from google.cloud.monitoring_dashboard_v1 import Dashboard
from google.cloud.monitoring_v3 import AlertPolicy, Service, ServiceLevelObjective

# Terraform type -> message. A block that may stand once is a list in a plan, and a message in the API.
MESSAGES = {
    "google_monitoring_alert_policy": AlertPolicy,
    "google_monitoring_custom_service": Service,
    "google_monitoring_slo": ServiceLevelObjective,
}
REPEATED = {"conditions", "links", "aggregations", "notification_channels", "trigger"}
# Arguments of the Terraform resource alone; `service_level_indicator` is flat there.
OURS = {
    "project",
    "service",
    "service_id",
    "slo_id",
    "timeouts",
    "deletion_policy",
    "id",
    "name",
    "creation_record",
    "request_based_sli",
}


def main(path: str) -> int:
    """Check a plan; return the exit status."""
    plan = json.loads(Path(path).read_text(encoding="utf-8"))
    faults: list[str] = []
    queries = 0
    for change in plan["resource_changes"]:
        values, address = change["change"]["after"], change["address"]
        if not values:
            continue
        if change["type"] in MESSAGES:
            faults += _fault(address, MESSAGES[change["type"]], _api(values))
        if change["type"] == "google_monitoring_dashboard":
            faults += _fault(address, Dashboard, json.loads(values["dashboard_json"]))
            found = list(_values(json.loads(values["dashboard_json"]), "prometheusQuery"))
        else:
            found = list(_values(values, "query")) if change["type"] == "google_monitoring_alert_policy" else []
        for query in found:
            queries += 1
            try:
                promql_parser.parse(query.replace("${__interval}", "5m"))
            except ValueError as fault:
                faults.append(f"{address}: {fault}: {query}")
    print("\n".join(faults) or f"{queries} queries and the messages around them are well formed")
    return int(bool(faults) or not queries)


def _fault(address: str, message: Any, value: dict[str, Any]) -> list[str]:
    try:
        message.from_json(json.dumps(value), ignore_unknown_fields=False)
    except Exception as fault:  # noqa: BLE001 - whatever the parser raises is the finding
        return [f"{address}: {str(fault)[:300]}"]
    return []


def _api(values: dict[str, Any]) -> dict[str, Any]:
    message = {
        key: _unwrapped(key, value) for key, value in values.items() if value not in (None, []) and key not in OURS
    }
    if "rolling_period_days" in message:
        message["rolling_period"] = f"{message.pop('rolling_period_days') * 86_400}s"
    if values.get("request_based_sli"):
        sli = _unwrapped("request_based_sli", values["request_based_sli"])
        message["service_level_indicator"] = {"request_based": sli}
    return message


def _unwrapped(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _unwrapped(k, v) for k, v in value.items() if v not in (None, [])}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        items = [_unwrapped(key, item) for item in value]
        return items if key in REPEATED else items[0]
    if isinstance(value, list):
        return [item for item in value if item is not None]  # known after apply
    return value


def _values(document: Any, key: str) -> Any:
    if isinstance(document, dict):
        for name, value in document.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from _values(value, key)
    elif isinstance(document, list):
        for item in document:
            yield from _values(item, key)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
