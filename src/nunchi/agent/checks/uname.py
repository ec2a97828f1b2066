"""Name, release and architecture of the running kernel."""

import os

from nunchi.agent.check import Check, Context


class UnameCheck(Check):
    """`node_uname_info`. The NIS domain is the one of the six that Python's `uname` leaves out."""

    name = "uname"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        system = os.uname()
        context.emit.gauge(
            "node_uname_info",
            1,
            sysname=system.sysname,
            release=system.release,
            version=system.version,
            machine=system.machine,
            nodename=system.nodename,
            domainname=context.root.proc_text("sys/kernel/domainname").strip(),
        )
