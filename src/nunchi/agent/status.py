"""What the agent says of itself: to its API in full, to its server with every heartbeat in short. Snapshots for JSON."""

import math
from collections.abc import Sequence
from typing import Any

from nunchi.agent.accounting import Accounting
from nunchi.agent.identity import Identity
from nunchi.agent.schedule import CheckInstance
from nunchi.agent.settings import AgentSettings
from nunchi.kit.clock import Clock
from nunchi.kit.spool import Spool
from nunchi.kit.supervision import PartStatus

CHECKS_MAX = 400  # a heartbeat is 256 KiB at most
ERROR_CHARACTERS_MAX = 200


def identity_status(identity: Identity, settings: AgentSettings) -> dict[str, Any]:
    """Who it is."""
    return {
        "id": identity.id,
        "name": identity.name,
        "version": identity.version,
        "addresses": list(identity.addresses),
        "started_at_ms": identity.started_at_ms,
        "epoch": identity.epoch,
        "tags": list(settings.tags),
        "labels": dict(settings.labels),
    }


def part_status(status: PartStatus) -> dict[str, Any]:
    """One part."""
    return {
        "name": status.name,
        "state": status.state,
        "restarts": status.restarts,
        "last_error": status.last_error,
        "started_at_ms": round(status.started_at * 1000),
    }


def check_status(instance: CheckInstance, clock: Clock) -> dict[str, Any]:
    """One check instance; `next_run_ms` by the wall clock as it is now."""
    outstanding = instance.outstanding
    seconds_left = instance.due_at - clock.monotonic()
    return {
        "name": instance.name,
        "check": instance.check.name,
        "interval_seconds": instance.interval_seconds,
        "deadline_seconds": instance.deadline_seconds,
        "last_run_ms": instance.last_run_ms,
        "next_run_ms": clock.now_ms() + round(1000 * max(0.0, seconds_left)),
        "duration_seconds": None if math.isnan(instance.last_duration_seconds) else instance.last_duration_seconds,
        "samples": instance.last_samples,
        "is_stuck": outstanding is not None and outstanding.is_expired,
        "is_absent": instance.is_absent,
        "last_error": instance.last_error,
    }


def checks_summary(instances: Sequence[CheckInstance], clock: Clock) -> list[dict[str, Any]]:
    """Each in short, for the server."""
    names = (
        "name",
        "is_stuck",
        "is_absent",
        "interval_seconds",
        "duration_seconds",
        "last_run_ms",
        "next_run_ms",
        "samples",
    )
    shown = []
    for instance in instances[:CHECKS_MAX]:
        whole = check_status(instance, clock)
        shown.append({**{name: whole[name] for name in names}, "error": instance.last_error[:ERROR_CHARACTERS_MAX]})
    return shown


def accounting_status(accounting: Accounting) -> dict[str, Any]:
    """Samples by fate."""
    dropped = {labels[0][1]: round(value) for _, labels, value in accounting.dropped.samples()}
    return {
        "collected": round(accounting.collected.total()),
        "recovered": round(accounting.recovered.total()),
        "acknowledged": round(accounting.acknowledged.total()),
        "queued": accounting.queued,
        "duplicate": round(accounting.duplicates.total()),
        "dropped": dropped,
    }


def spool_status(spool: Spool, outage_seconds_left: float) -> dict[str, Any]:
    """What waits."""
    statistics = spool.statistics()
    return {
        "payloads": statistics.records,
        "bytes": statistics.bytes,
        "disk_bytes": statistics.disk_bytes,
        "memory_bytes": statistics.memory_bytes,
        "oldest_seconds": statistics.oldest_seconds,
        "outage_seconds_left": outage_seconds_left,
        "disk_error": statistics.disk_error,
    }
