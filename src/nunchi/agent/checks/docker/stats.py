"""What the engine says a container uses, for engines whose control groups cannot be read from here. Same names as from the
control groups, fewer of them.
"""

from collections.abc import Mapping
from typing import Any

from nunchi.agent.emission import Emission

NETWORK = {
    "rx_bytes": "receive_bytes",
    "rx_packets": "receive_packets",
    "rx_errors": "receive_errors",
    "rx_dropped": "receive_packets_dropped",
    "tx_bytes": "transmit_bytes",
    "tx_packets": "transmit_packets",
    "tx_errors": "transmit_errors",
    "tx_dropped": "transmit_packets_dropped",
}
BLOCK_FAMILIES = (("io_service_bytes_recursive", "_bytes"), ("io_serviced_recursive", ""))


def emit_stats(emit: Emission, stats: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """The samples of one answer of `/containers/…/stats`."""
    cpu = stats.get("cpu_stats") or {}
    usage = cpu.get("cpu_usage") or {}
    emit.counter("container_cpu_usage_seconds_total", float(usage.get("total_usage") or 0) / 1e9, **labels, cpu="total")
    emit.counter("container_cpu_user_seconds_total", float(usage.get("usage_in_usermode") or 0) / 1e9, **labels)
    emit.counter("container_cpu_system_seconds_total", float(usage.get("usage_in_kernelmode") or 0) / 1e9, **labels)
    throttling = cpu.get("throttling_data") or {}
    if throttling.get("periods"):
        emit.counter("container_cpu_cfs_periods_total", float(throttling["periods"]), **labels)
        emit.counter("container_cpu_cfs_throttled_periods_total", float(throttling["throttled_periods"]), **labels)
        seconds = float(throttling["throttled_time"]) / 1e9
        emit.counter("container_cpu_cfs_throttled_seconds_total", seconds, **labels)
    emit_memory(emit, stats.get("memory_stats") or {}, labels)
    for interface, counts in (stats.get("networks") or {}).items():
        for key, family in NETWORK.items():
            emit.counter(
                f"container_network_{family}_total", float(counts.get(key) or 0), **labels, interface=interface
            )
    for key, unit in BLOCK_FAMILIES:
        emit_block(emit, (stats.get("blkio_stats") or {}).get(key) or [], unit, labels)
    pids = stats.get("pids_stats") or {}
    if "current" in pids:
        emit.gauge("container_threads", float(pids["current"]), **labels)


def emit_memory(emit: Emission, memory: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Memory, as either version of control groups calls it."""
    if memory.get("usage") is None:
        return
    stat, usage = memory.get("stats") or {}, float(memory["usage"])
    inactive = float(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    emit.gauge("container_memory_usage_bytes", usage, **labels)
    emit.gauge("container_memory_working_set_bytes", max(0.0, usage - inactive), **labels)
    for metric, keys in (("rss", ("total_rss", "anon")), ("cache", ("total_cache", "file"))):
        for key in keys:
            if key in stat:
                emit.gauge(f"container_memory_{metric}", float(stat[key]), **labels)
                break
    if memory.get("failcnt") is not None:
        emit.counter("container_memory_failcnt", float(memory["failcnt"]), **labels)


def emit_block(emit: Emission, entries: list[Mapping[str, Any]], unit: str, labels: Mapping[str, str]) -> None:
    """Block I/O of all devices; the engine names them by numbers."""
    for entry in entries:
        word = {"read": "reads", "write": "writes"}.get(str(entry.get("op", "")).lower())
        if word:
            device = f"{entry.get('major')}:{entry.get('minor')}"
            emit.counter(f"container_fs_{word}{unit}_total", float(entry["value"]), **labels, device=device)
