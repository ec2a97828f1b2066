"""What /proc/meminfo says: sizes in bytes, huge pages as counts."""

from nunchi.agent.check import Check, Context

SIZES = frozenset(
    (
        "MemTotal",
        "MemFree",
        "MemAvailable",
        "Buffers",
        "Cached",
        "SwapCached",
        "Active",
        "Inactive",
        "Active(anon)",
        "Inactive(anon)",
        "Active(file)",
        "Inactive(file)",
        "Unevictable",
        "Mlocked",
        "SwapTotal",
        "SwapFree",
        "Dirty",
        "Writeback",
        "AnonPages",
        "Mapped",
        "Shmem",
        "Slab",
        "SReclaimable",
        "SUnreclaim",
        "KernelStack",
        "PageTables",
        "NFS_Unstable",
        "Bounce",
        "WritebackTmp",
        "CommitLimit",
        "Committed_AS",
        "VmallocTotal",
        "VmallocUsed",
        "VmallocChunk",
        "Percpu",
        "HardwareCorrupted",
        "AnonHugePages",
        "ShmemHugePages",
        "ShmemPmdMapped",
        "CmaTotal",
        "CmaFree",
        "Hugepagesize",
        "DirectMap4k",
        "DirectMap2M",
        "DirectMap1G",
    )
)
COUNTS = frozenset(("HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp"))
KIB_PER_UNIT = {"": 1, "kB": 1024}


class MemoryCheck(Check):
    """`node_memory_*`; lines of the kernel that are not in `SIZES` or `COUNTS` are passed over."""

    name = "memory"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for line in context.root.proc_lines("meminfo"):
            field, _, rest = line.partition(":")
            number, _, unit = rest.strip().partition(" ")
            if field in SIZES:
                metric = field.replace("(", "_").replace(")", "")
                context.emit.gauge(f"node_memory_{metric}_bytes", int(number) * KIB_PER_UNIT[unit])
            elif field in COUNTS:
                context.emit.gauge(f"node_memory_{field}", int(number))
