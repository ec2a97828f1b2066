"""Kernel counters of /proc/stat that are not of one CPU: interrupts, context switches, forks, boot time, waiting tasks."""

from nunchi.agent.check import Check, Context
from nunchi.model.metadata import MetricType

FAMILIES = {
    "intr": ("node_intr_total", MetricType.COUNTER),
    "ctxt": ("node_context_switches_total", MetricType.COUNTER),
    "processes": ("node_forks_total", MetricType.COUNTER),
    "btime": ("node_boot_time_seconds", MetricType.GAUGE),
    "procs_running": ("node_procs_running", MetricType.GAUGE),
    "procs_blocked": ("node_procs_blocked", MetricType.GAUGE),
}


class StatCheck(Check):
    """What the kernel does not say is 0."""

    name = "stat"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        found: dict[str, int] = {}
        for line in context.root.proc_lines("stat"):
            field, _, rest = line.partition(" ")
            if field in FAMILIES:
                found[field] = int(rest.split(None, 1)[0])
        for field, (name, metric_type) in FAMILIES.items():
            context.emit.add(metric_type, name, found.get(field, 0), {})
