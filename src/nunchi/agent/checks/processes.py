"""Processes: how many are in which state, and what the groups that use most CPU and memory use.

Names are those of node_exporter's processes collector and of process-exporter; a group is all processes of one name.
Invariant: a group's counters never fall when one of its processes ends: what each process added since the last run is added up.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.emission import Emission
from nunchi.agent.root import Root
from nunchi.kit.settings import FieldError

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROCESSES_MAX = 20_000
GROUPS_MAX = 10_000
TOP_MAX = 200
STATES = {"R": "Running", "S": "Sleeping", "D": "Waiting", "Z": "Zombie"}
COUNTERS = ("user", "system", "minor_faults", "major_faults", "read_bytes", "write_bytes")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc shows it."""

    pid: int
    name: str
    state: str
    threads: int
    started_ticks: int
    virtual_bytes: int
    resident_bytes: int
    counters: tuple[float, ...]


@dataclass(slots=True)
class Group:
    """All processes of one name, in one run."""

    processes: list[Process] = field(default_factory=list)
    added_cpu: float = 0.0

    def resident_bytes(self) -> int:
        """Of all of them; shared pages count in each."""
        return sum(process.resident_bytes for process in self.processes)


class ProcessesSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`top`: so many groups by CPU and as many by memory; `per_process`: also their processes, by pid and user."""

    top: int = 10
    per_process: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.top <= TOP_MAX:
            raise FieldError(f"between 0 and {TOP_MAX}", "top")


class ProcessesCheck(Check):
    """`node_processes_*`, `namedprocess_namegroup_*{groupname}`."""

    name = "processes"
    settings_type = ProcessesSettings
    is_default = False

    def __init__(self, settings: ProcessesSettings) -> None:
        super().__init__(settings)
        self._top = settings.top
        self._per_process = settings.per_process
        self._before: dict[tuple[int, int], tuple[float, ...]] = {}
        self._totals: dict[str, list[float]] = {}

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        processes = list(read_processes(context.root))
        emit_counts(context.emit, context.root, processes)
        groups = self._group(processes)
        boot = boot_time(context.root)
        by_cpu = sorted(groups, key=lambda name: groups[name].added_cpu, reverse=True)
        by_memory = sorted(groups, key=lambda name: groups[name].resident_bytes(), reverse=True)
        for name in dict.fromkeys([*by_cpu[: self._top], *by_memory[: self._top]]):
            emit_group(context.emit, name, groups[name], self._totals[name], boot)
            if self._per_process:
                emit_processes(context.emit, context.root, name, groups[name])

    def _group(self, processes: list[Process]) -> dict[str, Group]:
        groups: dict[str, Group] = defaultdict(Group)
        before: dict[tuple[int, int], tuple[float, ...]] = {}
        for process in processes:
            key = (process.pid, process.started_ticks)
            before[key] = process.counters
            last = self._before.get(key, (0.0,) * len(COUNTERS))
            totals = self._totals.setdefault(process.name, [0.0] * len(COUNTERS))
            group = groups[process.name]
            group.processes.append(process)
            for index, (now, then) in enumerate(zip(process.counters, last, strict=True)):
                added = max(0.0, now - then)
                totals[index] += added
                group.added_cpu += added if index < 2 else 0.0
        self._before = before
        if len(self._totals) > GROUPS_MAX:
            self._totals = {name: total for name, total in self._totals.items() if name in groups}
        return groups


def read_processes(root: Root) -> Iterator[Process]:
    """All processes; those that end meanwhile are left out."""
    with os.scandir(root.proc) as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdecimal())[:PROCESSES_MAX]
    for pid in pids:
        try:
            text = root.proc_text(f"{pid}/stat")
        except OSError:
            continue
        name, fields = text[text.find("(") + 1 : text.rfind(")")], text[text.rfind(")") + 2 :].split()
        if len(fields) < 22:
            continue
        read, written = read_io(root, pid)
        yield Process(
            pid,
            name,
            fields[0],
            int(fields[17]),
            int(fields[19]),
            int(fields[20]),
            int(fields[21]) * PAGE_BYTES,
            (
                int(fields[11]) / TICKS_PER_SECOND,
                int(fields[12]) / TICKS_PER_SECOND,
                float(fields[7]),
                float(fields[9]),
                read,
                written,
            ),
        )


def read_io(root: Root, pid: int) -> tuple[float, float]:
    """Bytes read from and written to disks; 0 where we may not know."""
    try:
        lines = dict(line.split(": ") for line in root.proc_lines(f"{pid}/io"))
    except (OSError, ValueError):
        return 0.0, 0.0
    return float(lines.get("read_bytes", 0)), float(lines.get("write_bytes", 0))


def emit_counts(emit: Emission, root: Root, processes: list[Process]) -> None:
    """How many there are, and may be."""
    for state, count in Counter(process.state for process in processes).items():
        emit.gauge("node_processes_state", count, state=state)
    emit.gauge("node_processes_pids", len(processes))
    emit.gauge("node_processes_threads", sum(process.threads for process in processes))
    emit.gauge("node_processes_max_processes", float(root.proc_text("sys/kernel/pid_max")))
    emit.gauge("node_processes_max_threads", float(root.proc_text("sys/kernel/threads-max")))


def emit_group(emit: Emission, name: str, group: Group, totals: list[float], boot_seconds: float) -> None:
    """One group."""
    labels, processes = {"groupname": name}, group.processes
    prefix = "namedprocess_namegroup"
    user, system, minor, major, read, written = totals
    emit.gauge(f"{prefix}_num_procs", len(processes), **labels)
    emit.gauge(f"{prefix}_num_threads", sum(process.threads for process in processes), **labels)
    emit.counter(f"{prefix}_cpu_seconds_total", user, **labels, mode="user")
    emit.counter(f"{prefix}_cpu_seconds_total", system, **labels, mode="system")
    emit.gauge(f"{prefix}_memory_bytes", group.resident_bytes(), **labels, memtype="resident")
    emit.gauge(
        f"{prefix}_memory_bytes", sum(process.virtual_bytes for process in processes), **labels, memtype="virtual"
    )
    emit.counter(f"{prefix}_minor_page_faults_total", minor, **labels)
    emit.counter(f"{prefix}_major_page_faults_total", major, **labels)
    emit.counter(f"{prefix}_read_bytes_total", read, **labels)
    emit.counter(f"{prefix}_write_bytes_total", written, **labels)
    oldest = min(process.started_ticks for process in processes)
    emit.gauge(f"{prefix}_oldest_start_time_seconds", boot_seconds + oldest // TICKS_PER_SECOND, **labels)
    states = Counter(STATES.get(process.state, "Other") for process in processes)
    for state in (*STATES.values(), "Other"):
        emit.gauge(f"{prefix}_states", states[state], **labels, state=state)


def emit_processes(emit: Emission, root: Root, name: str, group: Group) -> None:
    """The processes of a group, each by its pid and the number of its user."""
    for process in sorted(group.processes, key=lambda one: one.resident_bytes, reverse=True)[:TOP_MAX]:
        labels = {"groupname": name, "pid": str(process.pid), "uid": find_user(root, process.pid)}
        emit.counter("namedprocess_process_cpu_seconds_total", process.counters[0] + process.counters[1], **labels)
        emit.gauge("namedprocess_process_resident_bytes", process.resident_bytes, **labels)
        emit.gauge("namedprocess_process_virtual_bytes", process.virtual_bytes, **labels)


def find_user(root: Root, pid: int) -> str:
    """The number of a process's user; empty where it has ended."""
    try:
        lines = root.proc_lines(f"{pid}/status")
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith("Uid:")), "")


def boot_time(root: Root) -> float:
    """Seconds since the epoch."""
    return next((float(line.split()[1]) for line in root.proc_lines("stat") if line.startswith("btime")), 0.0)
