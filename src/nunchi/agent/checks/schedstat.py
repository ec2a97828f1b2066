"""Seconds that tasks ran on each CPU and waited for it, and how many time slices they were given."""

from nunchi.agent.check import Check, Context
from nunchi.agent.errors import Unavailable

NANOSECONDS_PER_SECOND = 1_000_000_000
RUNNING, WAITING, TIMESLICES = 7, 8, 9


class SchedstatCheck(Check):
    """`node_schedstat_*`, where the kernel keeps scheduler statistics."""

    name = "schedstat"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        try:
            lines = context.root.proc_lines("schedstat")
        except FileNotFoundError as error:
            raise Unavailable("the kernel keeps no scheduler statistics") from error
        emit = context.emit
        for line in lines:
            fields = line.split()
            if len(fields) > TIMESLICES and fields[0].startswith("cpu"):
                cpu = fields[0][3:]
                running, waiting = int(fields[RUNNING]), int(fields[WAITING])
                emit.counter("node_schedstat_running_seconds_total", running / NANOSECONDS_PER_SECOND, cpu=cpu)
                emit.counter("node_schedstat_waiting_seconds_total", waiting / NANOSECONDS_PER_SECOND, cpu=cpu)
                emit.counter("node_schedstat_timeslices_total", int(fields[TIMESLICES]), cpu=cpu)
