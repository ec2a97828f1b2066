"""Network devices: what /proc/net/dev counts, and their state as /sys/class/net shows it."""

import re
from collections.abc import Iterator

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.patterns import compile_pattern

NET = "class/net"
FLAG_UP = 1
GAUGES = (
    ("addr_assign_type", "address_assign_type"),
    ("carrier", "carrier"),
    ("dev_id", "device_id"),
    ("dormant", "dormant"),
    ("flags", "flags"),
    ("ifindex", "iface_id"),
    ("iflink", "iface_link"),
    ("link_mode", "iface_link_mode"),
    ("mtu", "mtu_bytes"),
    ("name_assign_type", "name_assign_type"),
    ("netdev_group", "net_dev_group"),
    ("tx_queue_len", "transmit_queue_length"),
    ("type", "protocol_type"),
)
COUNTERS = (
    ("carrier_changes", "carrier_changes_total"),
    ("carrier_up_count", "carrier_up_changes_total"),
    ("carrier_down_count", "carrier_down_changes_total"),
    ("statistics/rx_nohandler", "receive_nohandler_total"),
)


class NetworkSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`device_exclude`: devices that are passed over; none unless told otherwise."""

    device_exclude: str = "^$"

    def __post_init__(self) -> None:
        compile_pattern("device_exclude", self.device_exclude)


class NetworkCheck(Check):
    """`node_network_*`."""

    name = "network"
    settings_type = NetworkSettings

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__(settings)
        self._device_exclude = re.compile(settings.device_exclude)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for device, family, value in parse_counters(context.root.proc_lines("net/dev")):
            if not self._device_exclude.search(device):
                context.emit.counter(f"node_network_{family}_total", value, device=device)
        for device in context.root.sys_names(NET):
            is_device = context.root.find_sys_text(f"{NET}/{device}/ifindex") is not None
            if is_device and not self._device_exclude.search(device):
                emit_state(context, device)


def parse_counters(lines: list[str]) -> Iterator[tuple[str, str, int]]:
    """Device, family and value of each counter; the header names the columns, each name once for either direction."""
    _, receive, transmit = lines[1].split("|")
    families = [f"receive_{name}" for name in receive.split()] + [f"transmit_{name}" for name in transmit.split()]
    for line in lines[2:]:
        device, _, fields = line.rpartition(":")
        for family, field in zip(families, fields.split(), strict=True):
            yield device.strip(), family, int(field)


def emit_state(context: Context, device: str) -> None:
    """One device's files of /sys; those that the driver does not answer are left out."""
    emit, root = context.emit, context.root
    folder = f"{NET}/{device}"
    texts = {
        label: root.find_sys_text(f"{folder}/{label}") or ""
        for label in ("address", "broadcast", "duplex", "operstate", "ifalias")
    }
    flags = find_integer(root.find_sys_text(f"{folder}/flags"))
    admin_state = "unknown" if flags is None else "up" if flags & FLAG_UP else "down"
    emit.gauge("node_network_up", 1 if texts["operstate"] == "up" else 0, device=device)
    emit.gauge("node_network_info", 1, device=device, adminstate=admin_state, **texts)
    for file, family in GAUGES:
        value = find_integer(root.find_sys_text(f"{folder}/{file}"))
        if value is not None:
            emit.gauge(f"node_network_{family}", value, device=device)
    for file, family in COUNTERS:
        value = find_integer(root.find_sys_text(f"{folder}/{file}"))
        if value is not None:
            emit.counter(f"node_network_{family}", value, device=device)
    speed_megabits = find_integer(root.find_sys_text(f"{folder}/speed"))
    if speed_megabits is not None:
        emit.gauge("node_network_speed_bytes", speed_megabits * 1_000_000 // 8, device=device)


def find_integer(text: str | None) -> int | None:
    """A decimal or `0x` hexadecimal number; None where there is none."""
    if not text:
        return None
    return int(text, 16) if text.startswith("0x") else int(text)
