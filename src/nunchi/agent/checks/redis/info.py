"""The text of INFO, and its samples."""

import re
from collections.abc import Mapping

from nunchi.agent.checks.redis.fields import (
    CONFIGURATION,
    COUNTERS,
    GAUGES,
    INSTANCE_LABELS,
    MASTER_GAUGES,
)
from nunchi.agent.emission import Emission
from nunchi.model.metadata import MetricType

COMMANDS_MAX = 500
DATABASES_MAX = 1024
WORDS = {"ok": 1.0, "err": 0.0, "fail": 0.0, "up": 1.0, "down": 0.0}
DATABASE = re.compile(r"db\d+")
REPLICA = re.compile(r"slave\d+")


def parse_info(text: str) -> dict[str, str]:
    """Field and value of every line `field:value`."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {field: value for field, colon, value in pairs if colon}


def parse_pairs(text: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping."""
    return {key: value for key, equal, value in (pair.partition("=") for pair in text.split(",")) if equal}


def find_number(text: str | None) -> float | None:
    """A number, or one of the words that stand for 0 and 1."""
    if text is None:
        return None
    try:
        return WORDS[text] if text in WORDS else float(text.removesuffix("%"))
    except ValueError:
        return None


def emit_info(emit: Emission, info: Mapping[str, str], now_seconds: float) -> None:
    """Everything that INFO says about the server itself."""
    for kind, fields in ((MetricType.GAUGE, GAUGES), (MetricType.COUNTER, COUNTERS)):
        for field, metric in fields.items():
            value = find_number(info.get(field))
            if value is not None:
                emit.add(kind, f"redis_{metric}", value, {})
    emit.gauge("redis_instance_info", 1, **{label: info.get(label, "") for label in INSTANCE_LABELS})
    fork, uptime = find_number(info.get("latest_fork_usec")), find_number(info.get("uptime_in_seconds"))
    if fork is not None:
        emit.gauge("redis_latest_fork_seconds", fork / 1e6)
    if uptime is not None:
        emit.gauge("redis_start_time_seconds", float(int(now_seconds) - uptime))
    emit_replication(emit, info)


def emit_replication(emit: Emission, info: Mapping[str, str]) -> None:
    """Of a replica, its master; of a master, its replicas."""
    if info.get("role") == "slave":
        master = {"master_host": info.get("master_host", ""), "master_port": info.get("master_port", "")}
        emit.gauge("redis_master_link_up", 1 if info.get("master_link_status") == "up" else 0, **master)
        emit.gauge("redis_slave_info", 1, **master, read_only=info.get("slave_read_only", ""))
        for field, metric in MASTER_GAUGES.items():
            value = find_number(info.get(field))
            if value is not None:
                emit.gauge(f"redis_{metric}", value, **master)
    for field, text in info.items():
        if REPLICA.fullmatch(field):
            pairs = parse_pairs(text)
            labels = {f"slave_{key}": pairs.get(key, "") for key in ("ip", "port", "state")}
            emit.gauge("redis_connected_slave_offset_bytes", find_number(pairs.get("offset")) or 0, **labels)
            emit.gauge("redis_connected_slave_lag_seconds", find_number(pairs.get("lag")) or 0, **labels)


def emit_databases(emit: Emission, info: Mapping[str, str], count: int) -> None:
    """Keys of each database; those without any are not in INFO and are shown as empty."""
    names = [f"db{number}" for number in range(min(count, DATABASES_MAX))]
    names += [field for field in info if DATABASE.fullmatch(field) and field not in names]
    for name in names:
        pairs = parse_pairs(info.get(name, ""))
        emit.gauge("redis_db_keys", find_number(pairs.get("keys")) or 0, db=name)
        emit.gauge("redis_db_keys_expiring", find_number(pairs.get("expires")) or 0, db=name)
        if pairs.get("avg_ttl"):
            emit.gauge("redis_db_avg_ttl_seconds", (find_number(pairs["avg_ttl"]) or 0) / 1000, db=name)


def emit_commands(emit: Emission, info: Mapping[str, str]) -> None:
    """How often each command was called and how long it took, errors by kind, and percentiles where the server keeps them."""
    commands = [(field[8:], parse_pairs(text)) for field, text in info.items() if field.startswith("cmdstat_")]
    for command, pairs in commands[:COMMANDS_MAX]:
        calls, microseconds = find_number(pairs.get("calls")) or 0, find_number(pairs.get("usec")) or 0
        emit.counter("redis_commands_total", calls, cmd=command)
        emit.counter("redis_commands_duration_seconds_total", microseconds / 1e6, cmd=command)
        for key in ("rejected_calls", "failed_calls"):
            if key in pairs:
                emit.counter(f"redis_commands_{key}_total", find_number(pairs[key]) or 0, cmd=command)
        percentiles = parse_pairs(info.get(f"latency_percentiles_usec_{command}", ""))
        if percentiles:
            emit_percentiles(emit, command, percentiles, calls, microseconds)
    errors = [(field[10:], parse_pairs(text)) for field, text in info.items() if field.startswith("errorstat_")]
    for error, pairs in errors[:COMMANDS_MAX]:
        emit.counter("redis_errors_total", find_number(pairs.get("count")) or 0, err=error)


def emit_percentiles(
    emit: Emission, command: str, percentiles: Mapping[str, str], calls: float, microseconds: float
) -> None:
    """A summary whose quantiles are percent, as redis_exporter has them."""
    name, labels = "redis_latency_percentiles_usec", {"cmd": command}
    emit.types[name] = MetricType.SUMMARY
    for key, text in percentiles.items():
        value = find_number(text)
        if value is not None:
            emit.sample(name, value, {**labels, "quantile": key.removeprefix("p")})
    emit.sample(f"{name}_sum", microseconds, labels)
    emit.sample(f"{name}_count", calls, labels)


def emit_configuration(emit: Emission, configuration: Mapping[str, str]) -> None:
    """The settings that dashboards compare with."""
    for field, metric in CONFIGURATION.items():
        value = find_number(configuration.get(field))
        if value is not None:
            emit.gauge(f"redis_{metric}", value)
