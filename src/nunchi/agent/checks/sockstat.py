"""How many sockets of each protocol are in use, and their memory."""

import os

from nunchi.agent.check import Check, Context

FIELDS = ("inuse", "orphan", "tw", "alloc", "mem", "memory")


class SockstatCheck(Check):
    """`node_sockstat_<protocol>_<field>` from /proc/net/sockstat and sockstat6; a file that is missing is passed over."""

    name = "sockstat"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        emit = context.emit
        for file in ("net/sockstat", "net/sockstat6"):
            try:
                lines = context.root.proc_lines(file)
            except FileNotFoundError:
                continue
            for line in lines:
                protocol, *words = line.split()
                protocol = protocol.removesuffix(":")
                values = {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}
                if protocol == "sockets":
                    emit.gauge("node_sockstat_sockets_used", values.get("used", 0))
                    continue
                values.setdefault("inuse", 0)
                for field in FIELDS:
                    if field in values:
                        emit.gauge(f"node_sockstat_{protocol}_{field}", values[field])
                if "mem" in values:
                    emit.gauge(f"node_sockstat_{protocol}_mem_bytes", values["mem"] * os.sysconf("SC_PAGE_SIZE"))
