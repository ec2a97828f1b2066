"""What the host is made of: processor, memory, disks, network, platform. Read from files that cannot hang; no mount is asked.

Invariant: a part that cannot be read is left out; the others are there.
"""

import os
from collections.abc import Callable
from typing import Any

from nunchi.agent.root import Root

DISKS_MAX = 256
INTERFACES_MAX = 256
SECTOR_BYTES = 512
VIRTUAL_DISKS = ("loop", "ram", "zram", "fd")

Part = dict[str, Any] | list[dict[str, Any]]


def read_inventory(root: Root) -> dict[str, Part]:
    """Everything that can be read."""
    found: dict[str, Part] = {}
    readers: tuple[tuple[str, Callable[[Root], Part]], ...] = (
        ("processor", read_processor),
        ("memory", read_memory),
        ("disks", read_disks),
        ("network", read_network),
        ("platform", read_platform),
    )
    for name, read in readers:
        try:
            found[name] = read(root)
        except (OSError, ValueError, LookupError):
            continue
    return found


def read_processor(root: Root) -> Part:
    """Of the first processor, and how many there are."""
    fields: dict[str, str] = {}
    processors, cores = 0, set()
    physical = ""
    for line in root.proc_lines("cpuinfo"):
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
        processors += name == "processor"
        physical = value if name == "physical id" else physical
        if name == "core id":
            cores.add((physical, value))
        fields.setdefault(name, value)
    known = {"vendor_id": "vendor", "model name": "model", "cache size": "cache", "stepping": "stepping"}
    shown: dict[str, Any] = {name: fields[field] for field, name in known.items() if fields.get(field)}
    if "cpu MHz" in fields:
        shown["mhz"] = float(fields["cpu MHz"])
    return {**shown, "processors": processors, "cores": len(cores) or processors}


def read_memory(root: Root) -> Part:
    """Bytes in all."""
    found = {}
    for line in root.proc_lines("meminfo"):
        name, _, value = line.partition(":")
        if name in {"MemTotal", "SwapTotal"}:
            found["bytes" if name == "MemTotal" else "swap_bytes"] = int(value.split()[0]) * 1024
    return found


def read_disks(root: Root) -> Part:
    """Block devices that are no partitions and have a size."""
    disks: list[dict[str, Any]] = []
    for name in root.sys_names("block")[:DISKS_MAX]:
        sectors = int(root.find_sys_text(f"block/{name}/size") or 0)
        if sectors and not name.startswith(VIRTUAL_DISKS):
            model = root.find_sys_text(f"block/{name}/device/model") or ""
            rotational = root.find_sys_text(f"block/{name}/queue/rotational") == "1"
            disks.append({"name": name, "bytes": sectors * SECTOR_BYTES, "model": model, "rotational": rotational})
    return disks


def read_network(root: Root) -> Part:
    """Interfaces with their hardware addresses."""
    return [
        {
            "name": name,
            "address": root.find_sys_text(f"class/net/{name}/address") or "",
            "mtu": int(root.find_sys_text(f"class/net/{name}/mtu") or 0),
            "state": root.find_sys_text(f"class/net/{name}/operstate") or "",
        }
        for name in root.sys_names("class/net")[:INTERFACES_MAX]
        if name != "lo"
    ]


def read_platform(root: Root) -> Part:
    """Kernel and distribution."""
    kernel = os.uname()
    found = {
        "hostname": kernel.nodename,
        "system": kernel.sysname,
        "kernel_release": kernel.release,
        "kernel_version": kernel.version,
        "machine": kernel.machine,
    }
    try:
        with open(root.host_path("/etc/os-release"), encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file.read(64 << 10).splitlines():
                name, _, value = line.partition("=")
                if name in {"PRETTY_NAME", "ID", "VERSION_ID"}:
                    found[name.lower()] = value.strip("\"'")
    except OSError:
        pass
    return found
