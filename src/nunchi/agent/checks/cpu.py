"""Seconds each CPU spent in each mode, how often cores and packages were throttled, which CPUs are isolated and online.

Invariant: the counters never go back. A kernel may take idle time back by a little (it is held then), or by seconds after a
CPU was unplugged (all counters of that CPU begin again).
"""

import re

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.root import Root

TICKS_PER_SECOND = 100
JUMP_BACK_SECONDS = 3.0
IDLE = 3
MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
CPU_FOLDER = "devices/system/cpu"
CPU_ENTRY = re.compile(r"cpu[0-9]+")


class CpuCheck(Check):
    """`node_cpu_seconds_total` and its relatives."""

    name = "cpu"

    def __init__(self, settings: CheckSettings) -> None:
        super().__init__(settings)
        self._seconds: dict[int, list[float]] = {}

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for cpu, seconds in parse_cpu_seconds(context.root.proc_lines("stat")).items():
            self._seconds[cpu] = hold_back_jumps(self._seconds.get(cpu), seconds)
        emit = context.emit
        for cpu, seconds in self._seconds.items():
            for mode, value in zip(MODES[:8], seconds, strict=False):
                emit.counter("node_cpu_seconds_total", value, cpu=str(cpu), mode=mode)
            emit.counter("node_cpu_guest_seconds_total", seconds[8], cpu=str(cpu), mode="user")
            emit.counter("node_cpu_guest_seconds_total", seconds[9], cpu=str(cpu), mode="nice")
        for isolated in parse_cpu_list(context.root.find_sys_text(f"{CPU_FOLDER}/isolated") or ""):
            emit.gauge("node_cpu_isolated", 1, cpu=str(isolated))
        cpus = [entry for entry in context.root.sys_names(CPU_FOLDER) if CPU_ENTRY.fullmatch(entry)]
        emit_online(context, cpus)
        emit_throttles(context, cpus)


def parse_cpu_seconds(lines: list[str]) -> dict[int, list[float]]:
    """Seconds in each of `MODES` by CPU; modes that an old kernel does not know are 0."""
    seconds: dict[int, list[float]] = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 1 and fields[0].startswith("cpu") and fields[0] != "cpu":
            values = [float(field) / TICKS_PER_SECOND for field in fields[1 : 1 + len(MODES)]]
            seconds[int(fields[0][3:])] = values + [0.0] * (len(MODES) - len(values))
    return seconds


def hold_back_jumps(before: list[float] | None, now: list[float]) -> list[float]:
    """The counters of one CPU after a new reading."""
    if before is None or before[IDLE] - now[IDLE] >= JUMP_BACK_SECONDS:
        return now
    return [max(pair) for pair in zip(before, now, strict=True)]


def parse_cpu_list(text: str) -> list[int]:
    """The CPUs of the kernel's notation: `0,2-4` is 0, 2, 3, 4."""
    cpus: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def emit_online(context: Context, cpus: list[str]) -> None:
    """Which CPUs are online; nothing where the first cannot be taken offline, as on most x86 machines."""
    states = [find_number(context.root, f"{CPU_FOLDER}/{cpu}/online") for cpu in cpus]
    if states and states[0] is not None:
        for cpu, state in zip(cpus, states, strict=True):
            context.emit.gauge("node_cpu_online", 1 if state == 1 else 0, cpu=cpu[3:])


def emit_throttles(context: Context, cpus: list[str]) -> None:
    """Throttle counts: one per package, one per core of a package (its siblings show the same number)."""
    root = context.root
    packages: dict[int, int] = {}
    cores: dict[tuple[int, int], int] = {}
    for cpu in cpus:
        folder = f"{CPU_FOLDER}/{cpu}"
        package = find_number(root, f"{folder}/topology/physical_package_id")
        core = find_number(root, f"{folder}/topology/core_id")
        if package is None or core is None:
            continue
        core_count = find_number(root, f"{folder}/thermal_throttle/core_throttle_count")
        if core_count is not None:
            cores.setdefault((package, core), core_count)
        package_count = find_number(root, f"{folder}/thermal_throttle/package_throttle_count")
        if package_count is not None:
            packages.setdefault(package, package_count)
    for package, count in packages.items():
        context.emit.counter("node_cpu_package_throttles_total", count, package=str(package))
    for (package, core), count in cores.items():
        context.emit.counter("node_cpu_core_throttles_total", count, package=str(package), core=str(core))


def find_number(root: Root, path: str) -> int | None:
    """A file of /sys that holds one number, 0 and above; None where it does not."""
    text = root.find_sys_text(path)
    return int(text) if text is not None and text.isdecimal() else None
