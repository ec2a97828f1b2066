"""Connection tracking of the packet filter: entries, their maximum, and what each CPU counted."""

from nunchi.agent.check import Check, Context
from nunchi.agent.errors import Unavailable

COUNTERS = ("found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart")


class ConntrackCheck(Check):
    """`node_nf_conntrack_*`; the per-CPU counters are summed."""

    name = "conntrack"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        root, emit = context.root, context.emit
        try:
            for file, metric in (("count", "entries"), ("max", "entries_limit")):
                emit.gauge(f"node_nf_conntrack_{metric}", int(root.proc_text(f"sys/net/netfilter/nf_conntrack_{file}")))
            names_line, *rows = root.proc_lines("net/stat/nf_conntrack")
        except FileNotFoundError as error:
            raise Unavailable("the kernel does not track connections: load nf_conntrack if it should") from error
        names = names_line.split()
        totals = dict.fromkeys(COUNTERS, 0)
        for row in rows:
            for name, field in zip(names, row.split(), strict=False):
                if name in totals:
                    totals[name] += int(field, 16)
        for name, total in totals.items():
            emit.gauge(f"node_nf_conntrack_stat_{name}", total)
