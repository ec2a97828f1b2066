"""Samples that are not one column of one query: the server's version and settings, and what its sessions do."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from nunchi.agent.checks.postgres.connection import Row
from nunchi.agent.emission import Emission
from nunchi.model.metadata import MetricType

STATES = (
    "active",
    "idle",
    "idle in transaction",
    "idle in transaction (aborted)",
    "fastpath function call",
    "disabled",
)
ACTIVITY_SQL = (
    "SELECT datname, coalesce(state, '') AS state, coalesce(usename, '') AS usename,"
    " coalesce(application_name, '') AS application_name, backend_type, coalesce(wait_event_type, '') AS wait_event_type,"
    " coalesce(wait_event, '') AS wait_event, count(*) AS count,"
    " coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float AS max_tx_duration"
    " FROM pg_stat_activity WHERE datname IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7"
)
ACTIVITY_LABELS = ("datname", "state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event")
SETTINGS_SQL = (  # what a new session has, not what this one has set for itself
    "SELECT name, CASE WHEN name IN ('default_transaction_read_only', 'transaction_read_only', 'statement_timeout')"
    " THEN reset_val ELSE setting END AS setting, unit, vartype FROM pg_settings"
    " WHERE vartype IN ('bool', 'integer', 'real')"
)
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def emit_version(emit: Emission, text: str, version: int, server: str) -> None:
    """`pg_static`: the server's version as it says it, and in short."""
    short = f"{version // 10000}.{version % 10000}.0"
    emit.unknown("pg_static", 1, version=text, short_version=short, server=server)


def emit_activity(emit: Emission, rows: Sequence[Row], databases: Iterable[str], server: str) -> None:
    """Sessions by what they do; a database without sessions in a state shows 0 for it."""
    shown: set[tuple[str, str]] = set()
    for row in rows:
        labels = {label: str(row[label]) for label in ACTIVITY_LABELS}
        if labels["state"] not in STATES:
            continue
        shown.add((labels["datname"], labels["state"]))
        _emit_activity(emit, labels, float(row["count"]), float(row["max_tx_duration"]), server)
    for database in databases:
        for state in STATES:
            if (database, state) not in shown:
                _emit_activity(emit, {"datname": database, "state": state}, 0, 0, server)


def _emit_activity(emit: Emission, labels: dict[str, str], count: float, seconds: float, server: str) -> None:
    emit.gauge("pg_stat_activity_count", count, **labels, server=server)
    emit.gauge("pg_stat_activity_max_tx_duration", seconds, **labels, server=server)


def emit_settings(emit: Emission, rows: Sequence[Row], server: str) -> None:
    """Every setting that is a number or a switch, in seconds and bytes."""
    for row in rows:
        name = str(row["name"]).replace(".", "_")
        text, unit = str(row["setting"]), str(row["unit"] or "")
        if row["vartype"] == "bool":
            emit.gauge(f"pg_settings_{name}", 1 if text == "on" else 0, server=server)
            continue
        factor, suffix = unit_of(unit)
        value = float(text)
        emit.gauge(f"pg_settings_{name}{suffix}", value if value == -1 else value * factor, server=server)


def unit_of(unit: str) -> tuple[float, str]:
    """Factor to seconds or bytes, and the ending of the metric's name; `8kB` is a unit too."""
    if unit in SECONDS:
        return SECONDS[unit], "_seconds"
    digits = unit[: len(unit) - len(unit.lstrip("0123456789"))]
    word = unit[len(digits) :]
    if word in BYTES:
        return float(int(digits or 1) * BYTES[word]), "_bytes"
    return 1.0, ""


def number_of(value: Any) -> float | None:
    """A column as a number; None for NULL and for what is none."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan if str(value) == "NaN" else None


KINDS = {"counter": MetricType.COUNTER, "gauge": MetricType.GAUGE}
