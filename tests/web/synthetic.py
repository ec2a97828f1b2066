"""Samples of a make-believe host under node_exporter's names: the past at once, then a row whenever asked.

Invariant: everything is a function of time alone, so that two fillings agree.
"""

import math
from collections.abc import Iterable

import numpy as np

from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE
from nunchi.storage.contracts import Store

GIB = 1 << 30
CPU_SHARES = {
    "user": 0.18,
    "system": 0.06,
    "iowait": 0.015,
    "softirq": 0.005,
    "steal": 0.002,
    "nice": 0.001,
    "irq": 0.0,
}
PRESSURES = {
    "cpu_waiting": 0.04,
    "memory_waiting": 0.004,
    "memory_stalled": 0.002,
    "io_waiting": 0.03,
    "io_stalled": 0.012,
}
METADATA = {
    "node_cpu_seconds_total": Metadata(MetricType.COUNTER, "Seconds the CPUs spent in each mode.", ""),
    "node_load1": Metadata(MetricType.GAUGE, "1m load average.", ""),
    "up": Metadata(MetricType.GAUGE, "", ""),
}


def wave(seconds: float, period: float, phase: float = 0.0) -> float:
    """Between 0.4 and 1.6, smooth, mean 1."""
    return 1 + 0.6 * math.sin(2 * math.pi * seconds / period + phase)


def grown(seconds: float, share: float, period: float, phase: float = 0.0) -> float:
    """A counter that grows by `share * wave` a second."""
    angle = 2 * math.pi / period
    return share * (seconds - 0.6 / angle * math.cos(angle * seconds + phase))


def host(instance: str, seconds: float, booted: float, cores: int = 2) -> Iterable[tuple[Labels, float]]:
    """Every sample of one host at one time."""
    age = seconds - booted

    def sample(name: str, value: float, **labels: str) -> tuple[Labels, float]:
        return Labels.of(name, job="node", instance=instance, **labels), value

    for core in range(cores):
        cpu = str(core)
        busy = 0.0
        for number, (mode, share) in enumerate(CPU_SHARES.items()):
            spent = grown(age, share, 420 + 90 * core, number)
            busy += spent
            yield sample("node_cpu_seconds_total", spent, cpu=cpu, mode=mode)
        yield sample("node_cpu_seconds_total", age - busy, cpu=cpu, mode="idle")
    yield sample("node_memory_MemTotal_bytes", 16 * GIB)
    used, cache = 6.2 * GIB * wave(seconds, 1700) ** 0.2, 5.1 * GIB
    yield sample("node_memory_Buffers_bytes", 0.3 * GIB)
    yield sample("node_memory_Cached_bytes", cache)
    yield sample("node_memory_SReclaimable_bytes", 0.4 * GIB)
    yield sample("node_memory_MemFree_bytes", 16 * GIB - used - cache - 0.7 * GIB)
    yield sample("node_memory_MemAvailable_bytes", 16 * GIB - used)
    for name, period in (("node_load1", 240), ("node_load5", 900), ("node_load15", 2700)):
        yield sample(name, 0.7 * wave(seconds, period))
    for name, share in PRESSURES.items():
        yield sample(f"node_pressure_{name}_seconds_total", grown(age, share, 300))
    for mountpoint, device, size, share in (("/", "/dev/vda1", 80, 0.44), ("/var", "/dev/vda2", 200, 0.87)):
        labels = {"mountpoint": mountpoint, "device": device, "fstype": "ext4"}
        yield sample("node_filesystem_size_bytes", size * GIB, **labels)
        yield sample("node_filesystem_avail_bytes", size * GIB * (1 - share), **labels)
    yield sample("node_disk_read_bytes_total", grown(age, 1.8e6, 500), device="vda")
    yield sample("node_disk_written_bytes_total", grown(age, 6.4e6, 330, 2), device="vda")
    yield sample("node_disk_io_time_seconds_total", grown(age, 0.11, 330, 2), device="vda")
    yield sample("node_network_receive_bytes_total", grown(age, 310e3, 610), device="eth0")
    yield sample("node_network_transmit_bytes_total", grown(age, 120e3, 480, 1), device="eth0")
    yield sample("node_boot_time_seconds", booted)
    yield sample("node_uname_info", 1, sysname="Linux", release="6.12.0", machine="x86_64", nodename=instance)
    yield sample("up", 1)


def fill(
    store: Store,
    instances: Iterable[str],
    booted: float,
    span: tuple[float, float],
    step: float,
    gap: tuple[float, float] = (0, 0),
) -> None:
    """Samples over `span`, none within `gap`, where staleness markers begin it; times in seconds since the epoch."""
    times = [t for t in np.arange(*span, step).tolist() if not gap[0] + step <= t < gap[1]]
    for instance in instances:
        rows = [_gap_or_host(instance, t, booted, gap) for t in times]
        layout = Layout.of(*(labels for labels, _ in rows[0]))
        columns = np.tile(np.arange(len(layout), dtype=np.int32), len(rows))
        timestamps = np.repeat(np.array([round(t * 1000) for t in times], np.int64), len(layout))
        values = np.array([value for row in rows for _, value in row])
        _append(store, Batch.cells(layout, timestamps, columns, values, METADATA))


def _gap_or_host(instance: str, seconds: float, booted: float, gap: tuple[float, float]) -> list[tuple[Labels, float]]:
    is_gap = gap[0] <= seconds < gap[1]
    return [(labels, STALE if is_gap else value) for labels, value in host(instance, seconds, booted)]


def put(store: Store, seconds: float, samples: Iterable[tuple[Labels, float]]) -> None:
    """One row at one time."""
    pairs = list(samples)
    layout = Layout.of(*(labels for labels, _ in pairs))
    values = np.array([value for _, value in pairs])
    _append(store, Batch.row(layout, round(seconds * 1000), np.arange(len(layout), dtype=np.int32), values))


def _append(store: Store, batch: Batch) -> None:
    appender = store.appender()
    result = appender.append(batch)
    appender.commit()
    assert result.rejected_total == 0, result
