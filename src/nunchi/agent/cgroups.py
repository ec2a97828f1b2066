"""What the kernel accounts to one control group, version 1 or 2, under cAdvisor's names. Reading only; files that a kernel or a
controller lacks leave their metrics out.

Follows the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
Invariant: nothing here fails because a container ended while it was read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nunchi.agent.emission import Emission
from nunchi.agent.root import Root

FOLDER = "fs/cgroup"
TICKS_PER_SECOND = 100
V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids")
V1_UNLIMITED_BYTES = 1 << 62
DEVICES_MAX = 64
RESOURCES = ("cpu", "memory", "io")


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Where a control group is: its path below each controller's folder; version 2 has one path, under the empty name."""

    paths: Mapping[str, str]

    @property
    def is_unified(self) -> bool:
        """Whether it is of version 2."""
        return "" in self.paths

    @property
    def id(self) -> str:
        """The path that names it."""
        return self.paths.get("") or self.paths.get("memory") or self.paths.get("cpuacct") or "/"

    def file(self, controller: str, name: str) -> str:
        """A file of it below /sys."""
        if self.is_unified:
            return f"{FOLDER}{self.paths['']}/{name}"
        return f"{FOLDER}/{controller}{self.paths.get(controller, '/')}/{name}"


def is_unified(root: Root) -> bool:
    """Whether the host has version 2 alone."""
    return root.find_sys_text(f"{FOLDER}/cgroup.controllers") is not None


def cgroup_of_process(root: Root, pid: int) -> Cgroup | None:
    """The group a process is in; None where it has ended or its group cannot be seen from here."""
    try:
        lines = root.proc_lines(f"{pid}/cgroup")
    except OSError:
        return None
    paths: dict[str, str] = {}
    unified = is_unified(root)
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if ".." in path.split("/"):
            continue
        path = path.rstrip("/")
        if unified and not controllers:
            return Cgroup({"": path or "/"})
        for controller in controllers.split(","):
            if controller in V1_CONTROLLERS:
                paths[controller] = path
    return Cgroup(paths) if paths else None


def cgroup_at(root: Root, path: str) -> Cgroup:
    """The group of one path, in every controller."""
    if is_unified(root):
        return Cgroup({"": path})
    return Cgroup(dict.fromkeys(V1_CONTROLLERS, path))


def emit_cgroup(emit: Emission, root: Root, cgroup: Cgroup, labels: Mapping[str, str]) -> bool:
    """Everything the group accounts. Returns whether there was a group to read."""
    reader = _Group(emit, root, cgroup, labels)
    if cgroup.is_unified:
        found = reader.emit_cpu_unified()
        reader.emit_memory_unified()
        reader.emit_io_unified()
        reader.emit_pressure()
    else:
        found = reader.emit_cpu()
        reader.emit_memory()
        reader.emit_io()
    reader.emit_tasks()
    return found


class _Group:
    """One group being read."""

    def __init__(self, emit: Emission, root: Root, cgroup: Cgroup, labels: Mapping[str, str]) -> None:
        self._emit = emit
        self._root = root
        self._cgroup = cgroup
        self._labels = dict(labels)

    def emit_cpu(self) -> bool:
        """Cpuacct and cpu of version 1."""
        usage = self._number("cpuacct", "cpuacct.usage")
        if usage is None:
            return False
        self._counter("cpu_usage_seconds_total", usage / 1e9, cpu="total")
        for word, ticks in self._table("cpuacct", "cpuacct.stat").items():
            if word in ("user", "system"):
                self._counter(f"cpu_{word}_seconds_total", ticks / TICKS_PER_SECOND)
        quota = self._number("cpu", "cpu.cfs_quota_us")
        period = self._number("cpu", "cpu.cfs_period_us")
        shares = self._number("cpu", "cpu.shares")
        self._emit_cpu_spec(quota if quota and quota > 0 else None, period, shares)
        if quota and quota > 0:
            stat = self._table("cpu", "cpu.stat")
            self._emit_throttling(stat, stat.get("throttled_time", 0) / 1e9)
        return True

    def emit_cpu_unified(self) -> bool:
        """Cpu of version 2."""
        stat = self._table("cpu", "cpu.stat")
        if "usage_usec" not in stat:
            return False
        self._counter("cpu_usage_seconds_total", stat["usage_usec"] / 1e6, cpu="total")
        for word in ("user", "system"):
            self._counter(f"cpu_{word}_seconds_total", stat.get(f"{word}_usec", 0) / 1e6)
        quota, period = [*(self._text("cpu", "cpu.max") or "max").split(), "", ""][:2]
        weight = self._number("cpu", "cpu.weight")
        shares = None if weight is None else 2 + (weight - 1) * 262142 // 9999
        limit = int(quota) if quota.isdecimal() else None
        self._emit_cpu_spec(limit, int(period) if period.isdecimal() else None, shares)
        if limit is not None:
            self._emit_throttling(stat, stat.get("throttled_usec", 0) / 1e6)
        return True

    def emit_memory(self) -> None:
        """Memory of version 1."""
        usage = self._number("memory", "memory.usage_in_bytes")
        if usage is None:
            return
        stat = self._table("memory", "memory.stat")
        words = {
            "cache": stat.get("total_cache", 0),
            "rss": stat.get("total_rss", 0),
            "swap": stat.get("total_swap", 0),
            "mapped_file": stat.get("total_mapped_file", 0),
        }
        self._emit_memory(usage, stat.get("total_inactive_file", 0), words)
        self._gauge_if("memory_max_usage_bytes", self._number("memory", "memory.max_usage_in_bytes"))
        self._counter_if("memory_failcnt", self._number("memory", "memory.failcnt"))
        self._emit_faults("container", stat, "")
        self._emit_faults("hierarchy", stat, "total_")
        self._counter_if("oom_events_total", self._table("memory", "memory.oom_control").get("oom_kill"))
        for metric, file in (
            ("limit", "memory.limit_in_bytes"),
            ("reservation_limit", "memory.soft_limit_in_bytes"),
            ("swap_limit", "memory.memsw.limit_in_bytes"),
        ):
            limit = self._number("memory", file)
            if limit is not None:
                self._gauge(f"spec_memory_{metric}_bytes", 0 if limit > V1_UNLIMITED_BYTES else limit)

    def emit_memory_unified(self) -> None:
        """Memory of version 2."""
        usage = self._number("memory", "memory.current")
        if usage is None:
            return
        stat = self._table("memory", "memory.stat")
        words = {
            "cache": stat.get("file", 0),
            "rss": stat.get("anon", 0),
            "swap": self._number("memory", "memory.swap.current") or 0,
            "mapped_file": stat.get("file_mapped", 0),
        }
        self._emit_memory(usage, stat.get("inactive_file", 0), words)
        self._gauge_if("memory_max_usage_bytes", self._number("memory", "memory.peak"))
        events = self._table("memory", "memory.events")
        self._counter_if("memory_failcnt", events.get("max"))
        self._counter_if("oom_events_total", events.get("oom_kill"))
        self._emit_faults("container", stat, "")
        self._emit_faults("hierarchy", stat, "")
        for metric, file in (
            ("limit", "memory.max"),
            ("reservation_limit", "memory.low"),
            ("swap_limit", "memory.swap.max"),
        ):
            text = self._text("memory", file)
            if text is not None:
                self._gauge(f"spec_memory_{metric}_bytes", int(text) if text.isdecimal() else 0)

    def emit_io(self) -> None:
        """Blkio of version 1: `major:minor Operation value` a line."""
        for file, is_bytes in (("io_service_bytes", True), ("io_serviced", False)):
            text = self._text("blkio", f"blkio.throttle.{file}_recursive") or self._text(
                "blkio", f"blkio.throttle.{file}"
            )
            totals: dict[str, dict[str, int]] = {}
            for line in (text or "").splitlines():
                fields = line.split()
                if len(fields) == 3 and fields[2].isdecimal():
                    totals.setdefault(fields[0], {})[fields[1].lower()] = int(fields[2])
            for device, by_operation in list(totals.items())[:DEVICES_MAX]:
                self._emit_io(device, by_operation.get("read", 0), by_operation.get("write", 0), is_bytes=is_bytes)

    def emit_io_unified(self) -> None:
        """Io of version 2: `major:minor rbytes=… wbytes=… rios=… wios=… …` a line."""
        for line in (self._text("io", "io.stat") or "").splitlines()[:DEVICES_MAX]:
            device, *fields = line.split()
            values = {
                key: int(value) for key, _, value in (field.partition("=") for field in fields) if value.isdecimal()
            }
            if values:
                self._emit_io(device, values.get("rbytes", 0), values.get("wbytes", 0), is_bytes=True)
                self._emit_io(device, values.get("rios", 0), values.get("wios", 0), is_bytes=False)

    def emit_pressure(self) -> None:
        """How long the group's tasks waited; version 2 alone accounts it."""
        for resource in RESOURCES:
            for line in (self._text("", f"{resource}.pressure") or "").splitlines():
                kind, *fields = line.split()
                total = next((field[6:] for field in fields if field.startswith("total=")), "")
                word = {"some": "waiting", "full": "stalled"}.get(kind)
                if word and total.isdecimal():
                    self._counter(f"pressure_{resource}_{word}_seconds_total", int(total) / 1e6)

    def emit_tasks(self) -> None:
        """Processes and threads."""
        self._gauge_if("threads", self._number("pids", "pids.current"))
        limit = self._text("pids", "pids.max")
        if limit is not None:
            self._gauge("threads_max", int(limit) if limit.isdecimal() else 0)
        processes = self._text("memory", "cgroup.procs")
        if processes is not None:
            self._gauge("processes", len(processes.split()))

    def _emit_cpu_spec(self, quota: int | None, period: int | None, shares: int | None) -> None:
        self._gauge_if("spec_cpu_quota", quota)
        self._gauge_if("spec_cpu_period", period)
        self._gauge_if("spec_cpu_shares", shares)

    def _emit_throttling(self, stat: Mapping[str, int], throttled_seconds: float) -> None:
        self._counter("cpu_cfs_periods_total", stat.get("nr_periods", 0))
        self._counter("cpu_cfs_throttled_periods_total", stat.get("nr_throttled", 0))
        self._counter("cpu_cfs_throttled_seconds_total", throttled_seconds)

    def _emit_memory(self, usage: int, inactive_file: int, words: Mapping[str, int]) -> None:
        self._gauge("memory_usage_bytes", usage)
        self._gauge("memory_working_set_bytes", max(0, usage - inactive_file))
        for word, value in words.items():
            self._gauge(f"memory_{word}", value)

    def _emit_faults(self, scope: str, stat: Mapping[str, int], prefix: str) -> None:
        for kind in ("pgfault", "pgmajfault"):
            if prefix + kind in stat:
                self._counter("memory_failures_total", stat[prefix + kind], failure_type=kind, scope=scope)

    def _emit_io(self, device: str, reads: int, writes: int, *, is_bytes: bool) -> None:
        name = device_name(self._root, device)
        unit = "_bytes" if is_bytes else ""
        self._counter(f"fs_reads{unit}_total", reads, device=name)
        self._counter(f"fs_writes{unit}_total", writes, device=name)
        if is_bytes:
            major, _, minor = device.partition(":")
            for operation, value in (("Read", reads), ("Write", writes)):
                self._counter(
                    "blkio_device_usage_total", value, device=name, major=major, minor=minor, operation=operation
                )

    def _text(self, controller: str, name: str) -> str | None:
        return self._root.find_sys_text(self._cgroup.file(controller, name))

    def _number(self, controller: str, name: str) -> int | None:
        text = self._text(controller, name)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def _table(self, controller: str, name: str) -> dict[str, int]:
        return dict(parse_table(self._text(controller, name) or ""))

    def _counter(self, metric: str, value: float, /, **more: str) -> None:
        self._emit.counter(f"container_{metric}", value, **self._labels, **more)

    def _gauge(self, metric: str, value: float) -> None:
        self._emit.gauge(f"container_{metric}", value, **self._labels)

    def _counter_if(self, metric: str, value: int | None) -> None:
        if value is not None:
            self._counter(metric, value)

    def _gauge_if(self, metric: str, value: int | None) -> None:
        if value is not None:
            self._gauge(metric, value)


def parse_table(text: str) -> Iterator[tuple[str, int]]:
    """The lines `word number` of a text; others are passed over."""
    for line in text.splitlines():
        word, _, number = line.partition(" ")
        if number.strip().isdecimal():
            yield word, int(number)


def device_name(root: Root, numbers: str) -> str:
    """`/dev/sda` of `8:0`; the empty text where /sys does not know the device."""
    for line in (root.find_sys_text(f"dev/block/{numbers}/uevent") or "").splitlines():
        if line.startswith("DEVNAME="):
            return f"/dev/{line[8:]}"
    return ""
