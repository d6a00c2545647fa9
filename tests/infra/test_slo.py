"""The SLO over the log lines of a simulated day: it burns in an outage, and only then.

The lines are those of the real runner over a day of five-minute ticks. What Cloud Monitoring does with them is done
here by hand: the filters of the log-based metrics, the share of a distribution's values within the range, and the
burn rate of a look-back (cloud.google.com/stackdriver/docs/solutions/slo-monitoring/alerting-on-budget-burn-rate).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.infra.plans import ROOT, Plan, make_plan
from tests.worlds.runs import SILENT, RunWorld

TICK = 300
HOUR = 3600
DAY = 24 * HOUR
CONNECTIONS = 40


@dataclass(frozen=True)
class Line:
    """A log line: when, and its JSON fields."""

    at: float
    fields: Mapping[str, Any]


class Day:
    """A day of runs, an hour of warming up before it, and the provider's answers on the way."""

    def __init__(
        self, caplog: pytest.LogCaptureFixture, outage: tuple[float, float] = (0, 0), **settings: float
    ) -> None:
        caplog.set_level(logging.INFO, logger="token_refresh")
        self.world = RunWorld(**settings)
        names = self.world.add_many(CONNECTIONS)
        self.began = self.world.clock() + HOUR
        self.lines: list[Line] = []
        while self.world.clock() < self.began + DAY:
            passed = self.world.clock() - self.began
            is_out = outage[0] <= passed < outage[1]
            self.world.answers = {f"{name}-token": SILENT for name in names} if is_out else {}
            caplog.clear()
            self.world.report()
            now = self.world.clock()
            fields = [getattr(record, "json_fields", {}) for record in caplog.records]
            self.lines += [Line(now, f) for f in fields if f.get("event") and passed >= 0]
            self.world.clock.advance(TICK)

    def burn_rates(self, slo: Mapping[str, Any], values_of: str, lookback: float) -> Iterator[tuple[float, float]]:
        """Yield the time of each run and how fast the budget burns over the look-back."""
        at_least = slo["request_based_sli"][0]["distribution_cut"][0]["range"][0]["min"]
        values = [(line.at, value_of(values_of, line)) for line in self.lines]
        seen = [(at, value) for at, value in values if value is not None]
        for at, _ in seen:
            window = [value for when, value in seen if at - lookback < when <= at]
            bad = sum(value < at_least for value in window) / len(window)
            yield at - self.began, bad / (1 - slo["goal"])

    def burning(self, plan: Plan) -> dict[str, tuple[float, float]]:
        """Return, for each alert of the SLO that opened, when it opened first and when it was last open."""
        (slo,) = plan.created("google_monitoring_slo").values()
        (metric,) = [
            m for m in plan.created("google_logging_metric").values() if m["name"].endswith("promised_percent")
        ]
        opened = {}
        for policy in plan.created("google_monitoring_alert_policy").values():
            condition = policy["conditions"][0]["condition_threshold"]
            if not condition:
                continue
            lookback = re.search(r'"(\d+)s"\)$', condition[0]["filter"])
            assert lookback
            rates = self.burn_rates(slo, metric["filter"], float(lookback[1]))
            times = [at for at, rate in rates if rate > condition[0]["threshold_value"]]
            if times:
                opened[policy["display_name"].split("(")[1].rstrip(")")] = (times[0], times[-1])
        return opened


def value_of(metric_filter: str, line: Line) -> float | None:
    """Return what the metric extracts from a line, if its filter takes it."""
    value = line.fields.get("promised_percent")
    return float(value) if matches(metric_filter, line) and value is not None else None


def matches(metric_filter: str, line: Line) -> bool:
    """Apply what a log filter says of jsonPayload; as in Cloud Logging, an absent field matches nothing."""
    for negated, path, operator, text in re.findall(
        r'(NOT )?jsonPayload\.([\w.]+)(=|>=|<)("[^"]*"|[\w.]+)', metric_filter
    ):
        value: Any = line.fields
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        wanted: Any = text.strip('"')
        wanted = wanted == "true" if wanted in ("true", "false") else wanted
        holds = value is not None and {
            "=": lambda a, b: a == b,
            ">=": lambda a, b: a >= float(b),
            "<": lambda a, b: a < float(b),
        }[operator](value, wanted)
        if holds == bool(negated):
            return False
    return True


def counted(day: Day, plan: Plan, name: str) -> list[float]:
    """Return when a counter counted a line."""
    (metric,) = [m for m in plan.created("google_logging_metric").values() if m["name"] == f"token-refresh/{name}"]
    return [line.at - day.began for line in day.lines if matches(metric["filter"], line)]


@pytest.fixture
def minimal(terraform: None) -> Plan:  # noqa: ARG001 - skips
    return make_plan("minimal")


def test_a_day_without_an_outage_burns_nothing(minimal: Plan, caplog: pytest.LogCaptureFixture) -> None:
    day = Day(caplog)
    assert day.burning(minimal) == {}
    assert len(counted(day, minimal, "runs")) == DAY // TICK
    assert counted(day, minimal, "runs_short_of_life") == []


def test_an_outage_shorter_than_the_margin_burns_nothing(minimal: Plan, caplog: pytest.LogCaptureFixture) -> None:
    """Ten minutes of silence: the margin is for that."""
    assert Day(caplog, outage=(6 * HOUR, 6 * HOUR + 600)).burning(minimal) == {}


def test_an_outage_of_an_hour_burns_fast(minimal: Plan, caplog: pytest.LogCaptureFixture) -> None:
    day = Day(caplog, outage=(6 * HOUR, 7 * HOUR))
    fast = day.burning(minimal)["fast"]
    # Due at margin and jitter, short of the promise ten minutes later, then three bad runs.
    assert 6 * HOUR < fast[0] < 7 * HOUR
    assert fast[1] < 8 * HOUR + 1800, "it ends with the look-back"
    assert counted(day, minimal, "runs_short_of_life"), "and tokens were about to run out"
    assert len(counted(day, minimal, "runs")) == DAY // TICK, "runs went on: the dead-man switch is still"


def test_an_hour_of_outage_twice_a_day_burns_slowly_too(minimal: Plan, caplog: pytest.LogCaptureFixture) -> None:
    assert set(Day(caplog, outage=(4 * HOUR, 6 * HOUR)).burning(minimal)) == {"fast", "slow"}


def test_secret_manager_down_is_no_sign_of_life(minimal: Plan, caplog: pytest.LogCaptureFixture) -> None:
    """Runs that could not be carried out do not feed the dead-man switch."""
    day = Day(caplog)
    line = next(line for line in day.lines if line.fields["event"] == "run")
    (runs,) = [m for m in minimal.created("google_logging_metric").values() if m["name"] == "token-refresh/runs"]
    assert matches(runs["filter"], line)
    assert not matches(runs["filter"], Line(0, {**line.fields, "is_carried_out": False}))
    assert not matches(runs["filter"], Line(0, {**line.fields, "is_whole": False}))


def test_a_death_is_counted_once_and_a_connection_without_a_grant_not_at_all(
    minimal: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="token_refresh")
    world = RunWorld()
    world.add("dead")
    world.add("never", None)
    world.run()
    world.dying("dead")
    for _ in range(DAY // TICK):
        world.later(TICK)
    lines = [Line(0, getattr(record, "json_fields", {})) for record in caplog.records]
    metrics = {m["name"].removeprefix("token-refresh/"): m for m in minimal.created("google_logging_metric").values()}
    died = [line.fields for line in lines if matches(metrics["deaths"]["filter"], line)]
    assert [(fields["subject"], fields["reason"]) for fields in died] == [("dead", "revoked_or_expired")]
    overdue = [line.fields["subject"] for line in lines if matches(metrics["consents_overdue"]["filter"], line)]
    assert overdue == ["never"], "by age: a day after the run that found it first"


def test_the_runbook_explains_the_fields_that_the_slo_rests_on() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    for field in ("is_whole", "is_carried_out", "connections", "promised", "promised_percent", "deferred"):
        assert f"`{field}`" in text, field
