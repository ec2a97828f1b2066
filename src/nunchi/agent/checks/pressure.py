"""Pressure stall information: how long tasks waited for CPU, memory, I/O, and for how long none could go on."""

import errno

from nunchi.agent.check import Check, Context
from nunchi.agent.errors import Unavailable

WAITING, STALLED = ("some", "waiting"), ("full", "stalled")
RESOURCES = (
    ("cpu", (WAITING,)),
    ("io", (WAITING, STALLED)),
    ("memory", (WAITING, STALLED)),
    ("irq", (STALLED,)),
)


class PressureCheck(Check):
    """`node_pressure_*_seconds_total`. `irq` came late and is simply absent on kernels without it."""

    name = "pressure"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for resource, kinds in RESOURCES:
            try:
                text = context.root.proc_text(f"pressure/{resource}")
            except OSError as error:
                if resource == "irq":
                    continue
                if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
                    message = f"no pressure information for {resource}: boot with psi=1 on a kernel of 4.20 or later"
                    raise Unavailable(message) from error
                raise
            totals = parse_totals(text)
            for kind, word in kinds:
                seconds = totals.get(kind, 0) / 1000 / 1000  # in two steps: the last digit then is node_exporter's
                context.emit.counter(f"node_pressure_{resource}_{word}_seconds_total", seconds)


def parse_totals(text: str) -> dict[str, int]:
    """Microseconds by kind (`some`, `full`)."""
    totals: dict[str, int] = {}
    for line in text.splitlines():
        kind, *fields = line.split()
        totals[kind] = next(int(field[6:]) for field in fields if field.startswith("total="))
    return totals
