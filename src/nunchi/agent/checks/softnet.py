"""What each CPU did with packets between the device and the stack: processed, dropped, ran out of budget."""

from nunchi.agent.check import Check, Context

PROCESSED, DROPPED, SQUEEZED, COLLISION, RPS, FLOW_LIMIT, BACKLOG, INDEX = 0, 1, 2, 8, 9, 10, 11, 12
COUNTERS = (
    ("processed", PROCESSED),
    ("dropped", DROPPED),
    ("times_squeezed", SQUEEZED),
    ("cpu_collision", COLLISION),
    ("received_rps", RPS),
    ("flow_limit_count", FLOW_LIMIT),
)


class SoftnetCheck(Check):
    """`node_softnet_*`. Old kernels write fewer columns: what they do not write is 0, the CPU is the line's number."""

    name = "softnet"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for line_number, line in enumerate(context.root.proc_lines("net/softnet_stat")):
            columns = [int(field, 16) for field in line.split()]
            columns += [0] * (BACKLOG + 1 - len(columns))
            cpu = str(columns[INDEX] if len(columns) > INDEX else line_number)
            for metric, column in COUNTERS:
                context.emit.counter(f"node_softnet_{metric}_total", columns[column], cpu=cpu)
            context.emit.gauge("node_softnet_backlog_len", columns[BACKLOG], cpu=cpu)
