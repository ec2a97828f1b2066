"""Protocol counters of the kernel's network stack: /proc/net/netstat, /proc/net/snmp and, with IPv6, /proc/net/snmp6."""

import re
from collections.abc import Iterator

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.patterns import compile_pattern

FIELDS = (
    r"^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)


class NetstatSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fields`: which counters are taken, by `Protocol_Name`."""

    fields: str = FIELDS

    def __post_init__(self) -> None:
        compile_pattern("fields", self.fields)


class NetstatCheck(Check):
    """`node_netstat_<protocol>_<name>`, untyped: the files mix counters and gauges."""

    name = "netstat"
    settings_type = NetstatSettings

    def __init__(self, settings: NetstatSettings) -> None:
        super().__init__(settings)
        self._fields = re.compile(settings.fields)
        self._taken: dict[str, bool] = {}

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        root = context.root
        found = dict(parse_pairs_of_lines(root.proc_lines("net/netstat")))
        found.update(parse_pairs_of_lines(root.proc_lines("net/snmp")))
        try:
            found.update(parse_snmp6(root.proc_lines("net/snmp6")))
        except FileNotFoundError:
            context.log.debug("no counters of IPv6")
        for key, value in found.items():
            if self._is_taken(key):
                context.emit.unknown(f"node_netstat_{key}", float(value))

    def _is_taken(self, key: str) -> bool:
        taken = self._taken.get(key)
        if taken is None:
            taken = self._taken[key] = self._fields.search(key) is not None
        return taken


def parse_pairs_of_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`Protocol_Name` and value from lines that come in pairs: names, then values, both behind `Protocol:`."""
    for names_line, values_line in zip(lines[::2], lines[1::2], strict=True):
        protocol, *names = names_line.split()
        _, *values = values_line.split()
        for name, value in zip(names, values, strict=True):
            yield f"{protocol.removesuffix(':')}_{name}", value


def parse_snmp6(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`Protocol6_Name` and value from lines of `Protocol6Name value`; names without a 6 are passed over."""
    for line in lines:
        fields = line.split()
        if len(fields) >= 2 and "6" in fields[0]:
            end = fields[0].index("6") + 1
            yield f"{fields[0][:end]}_{fields[0][end:]}", fields[1]
