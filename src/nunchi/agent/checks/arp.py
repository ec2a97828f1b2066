"""How many neighbours each network device knows by address."""

from collections import Counter

from nunchi.agent.check import Check, Context

DEVICE = 5


class ArpCheck(Check):
    """`node_arp_entries` by device, from /proc/net/arp: IPv4."""

    name = "arp"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        rows = [line.split() for line in context.root.proc_lines("net/arp")[1:]]
        for device, entries in Counter(row[DEVICE] for row in rows if len(row) > DEVICE).items():
            context.emit.gauge("node_arp_entries", entries, device=device)
