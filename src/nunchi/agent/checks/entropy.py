"""Bits of entropy the kernel has, and the size of their pool."""

from nunchi.agent.check import Check, Context


class EntropyCheck(Check):
    """`node_entropy_available_bits` and `node_entropy_pool_size_bits`."""

    name = "entropy"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for file, metric in (("entropy_avail", "available"), ("poolsize", "pool_size")):
            bits = int(context.root.proc_text(f"sys/kernel/random/{file}"))
            context.emit.gauge(f"node_entropy_{metric}_bits", bits)
