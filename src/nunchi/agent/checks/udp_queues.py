"""Bytes of datagrams that wait in the kernel to be read or sent, over all UDP sockets."""

from nunchi.agent.check import Check, Context

QUEUES = 4


class UdpQueuesCheck(Check):
    """`node_udp_queues` by queue and IP version."""

    name = "udp_queues"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for file, version in (("net/udp", "v4"), ("net/udp6", "v6")):
            try:
                rows = context.root.proc_lines(file)[1:]
            except FileNotFoundError:
                continue
            sending = receiving = 0
            for row in rows:
                to_send, _, to_read = row.split()[QUEUES].partition(":")
                sending += int(to_send, 16)
                receiving += int(to_read, 16)
            context.emit.gauge("node_udp_queues", sending, queue="tx", ip=version)
            context.emit.gauge("node_udp_queues", receiving, queue="rx", ip=version)
