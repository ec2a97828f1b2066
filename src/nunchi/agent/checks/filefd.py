"""How many file handles the kernel has given out, and how many it gives out at most."""

from nunchi.agent.check import Check, Context


class FilefdCheck(Check):
    """`node_filefd_allocated` and `node_filefd_maximum`."""

    name = "filefd"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        allocated, _, maximum = context.root.proc_text("sys/fs/file-nr").split()
        context.emit.gauge("node_filefd_allocated", float(allocated))
        context.emit.gauge("node_filefd_maximum", float(maximum))
