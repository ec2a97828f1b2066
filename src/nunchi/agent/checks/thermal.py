"""Sensors of the kernel: temperatures, fans, voltages, currents, power (hwmon), thermal zones and cooling devices.

Follows the kernel's Documentation/hwmon/sysfs-interface.rst; names are node_exporter's.
"""

import re
from pathlib import Path

from nunchi.agent.check import Check, Context
from nunchi.agent.emission import Emission
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import Root

HWMON, THERMAL = "class/hwmon", "class/thermal"
SENSOR = re.compile(r"(?P<kind>temp|fan|in|curr|power|humidity|energy)(?P<number>\d+)_(?P<field>\w+)")
UNITS = {
    "curr": ("amps", 1e-3),
    "energy": ("joule_total", 1e-6),
    "fan": ("rpm", 1.0),
    "humidity": ("humidity", 1e-6),
    "in": ("volts", 1e-3),
    "power": ("watt", 1e-6),
    "temp": ("celsius", 1e-3),
}
BARE = frozenset({"alarm", "beep", "fault", "enable", "type"})
NOT_CLEAN = re.compile(r"[^a-z0-9:_]")
SENSORS_MAX = 1000


class ThermalCheck(Check):
    """`node_hwmon_*`, `node_thermal_zone_temp`, `node_cooling_device_*`."""

    name = "thermal"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        root = context.root
        chips, devices = root.sys_names(HWMON), root.sys_names(THERMAL)
        if not chips and not devices:
            raise Unavailable("the kernel shows no sensors; virtual machines have none")
        for chip in chips:
            emit_chip(context.emit, root, chip)
        for device in devices:
            emit_zone(context.emit, root, device)


def emit_chip(emit: Emission, root: Root, folder: str) -> None:
    """One chip's sensors."""
    path = f"{HWMON}/{folder}"
    if root.find_sys_text(f"{path}/name") is None and root.find_sys_text(f"{path}/device/name") is not None:
        path = f"{path}/device"
    chip = chip_name(root, folder)
    name = root.find_sys_text(f"{path}/name")
    if name is not None:
        emit.gauge("node_hwmon_chip_names", 1, chip=chip, chip_name=clean(name))
    for file in root.sys_names(path)[:SENSORS_MAX]:
        match = SENSOR.fullmatch(file)
        text = root.find_sys_text(f"{path}/{file}") if match else None
        if match and text is not None:
            emit_sensor(emit, match["kind"], match["kind"] + match["number"], match["field"], text, chip)


def emit_sensor(emit: Emission, kind: str, sensor: str, field: str, text: str, chip: str) -> None:
    """One file of one sensor."""
    labels = {"chip": chip, "sensor": sensor}
    if field == "label":
        emit.gauge("node_hwmon_sensor_label", 1, **labels, label=text)
        return
    try:
        value = float(text)
    except ValueError:
        return
    unit, factor = UNITS[kind]
    if field == "input" and kind == "energy":
        emit.counter("node_hwmon_energy_joule_total", value * factor, **labels)
    elif field == "input":
        emit.gauge(f"node_hwmon_{kind}_{unit}" if unit != kind else f"node_hwmon_{kind}", value * factor, **labels)
    elif field in BARE:
        emit.gauge(f"node_hwmon_{kind}_{field}", value, **labels)
    else:
        emit.gauge(f"node_hwmon_{kind}_{field}_{unit}", value * factor, **labels)


def chip_name(root: Root, folder: str) -> str:
    """A name that stays when chips are numbered anew: bus and device; the chip's own name where it has no device."""
    entry = Path(root.sys, HWMON, folder)
    device = entry / "device"
    if device.exists():
        target = device.resolve()
        subsystem = target / "subsystem"
        bus = subsystem.resolve().name if subsystem.exists() else target.parent.name
        cleaned = f"{clean(bus)}_{clean(target.name)}" if clean(bus) else clean(target.name)
        if clean(target.name):
            return cleaned
    name = root.find_sys_text(f"{HWMON}/{folder}/name")
    return clean(name) if name else clean(entry.resolve().name)


def clean(text: str) -> str:
    """As a label: lower case, everything else an underscore, none at the ends."""
    return NOT_CLEAN.sub("_", text.strip().lower()).strip("_")


def emit_zone(emit: Emission, root: Root, folder: str) -> None:
    """A thermal zone or a cooling device; sensors that do not answer are left out."""
    path = f"{THERMAL}/{folder}"
    kind = root.find_sys_text(f"{path}/type") or ""
    if folder.startswith("thermal_zone"):
        temperature = root.find_sys_text(f"{path}/temp")
        if temperature is not None:
            emit.gauge(
                "node_thermal_zone_temp", float(temperature) / 1000, zone=folder.removeprefix("thermal_zone"), type=kind
            )
    elif folder.startswith("cooling_device"):
        for word in ("cur", "max"):
            state = root.find_sys_text(f"{path}/{word}_state")
            if state is not None:
                emit.gauge(
                    f"node_cooling_device_{word}_state",
                    float(state),
                    name=folder.removeprefix("cooling_device"),
                    type=kind,
                )
