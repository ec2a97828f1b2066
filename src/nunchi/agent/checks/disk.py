"""Block devices: what /proc/diskstats counts, and who the device is as udev and /sys know it."""

import re
from collections.abc import Mapping

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.patterns import compile_pattern
from nunchi.agent.root import Root, read_text
from nunchi.model.metadata import MetricType

DEVICE_EXCLUDE = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"
SECTOR_BYTES = 512
TICK_SECONDS = 1 / 1000
FIELD_COUNTS = (11, 15, 17)  # kernels before 4.18, before 5.5 (discards), and since (flushes)
FAMILIES = (
    ("reads_completed_total", 1.0),
    ("reads_merged_total", 1.0),
    ("read_bytes_total", SECTOR_BYTES),
    ("read_time_seconds_total", TICK_SECONDS),
    ("writes_completed_total", 1.0),
    ("writes_merged_total", 1.0),
    ("written_bytes_total", SECTOR_BYTES),
    ("write_time_seconds_total", TICK_SECONDS),
    ("io_now", 1.0),
    ("io_time_seconds_total", TICK_SECONDS),
    ("io_time_weighted_seconds_total", TICK_SECONDS),
    ("discards_completed_total", 1.0),
    ("discards_merged_total", 1.0),
    ("discarded_sectors_total", 1.0),
    ("discard_time_seconds_total", TICK_SECONDS),
    ("flush_requests_total", 1.0),
    ("flush_requests_time_seconds_total", TICK_SECONDS),
)
ATA_PROPERTIES = {
    "ID_ATA_WRITE_CACHE": "ata_write_cache",
    "ID_ATA_WRITE_CACHE_ENABLED": "ata_write_cache_enabled",
    "ID_ATA_ROTATION_RATE_RPM": "ata_rotation_rate_rpm",
}


class DiskSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`device_exclude`: devices that are passed over; partitions and loop devices unless told otherwise."""

    device_exclude: str = DEVICE_EXCLUDE

    def __post_init__(self) -> None:
        compile_pattern("device_exclude", self.device_exclude)


class DiskCheck(Check):
    """`node_disk_*`."""

    name = "disk"
    settings_type = DiskSettings

    def __init__(self, settings: DiskSettings) -> None:
        super().__init__(settings)
        self._device_exclude = re.compile(settings.device_exclude)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        for line in context.root.proc_lines("diskstats"):
            major, minor, device, *fields = line.split()
            if self._device_exclude.search(device):
                continue
            count = max((count for count in FIELD_COUNTS if count <= len(fields)), default=0)
            if not count:
                continue
            emit_info(context, device, major, minor, find_udev_properties(context.root, major, minor))
            for (family, factor), field in zip(FAMILIES, fields[:count], strict=False):
                kind = MetricType.COUNTER if family.endswith("_total") else MetricType.GAUGE
                context.emit.add(kind, f"node_disk_{family}", int(field) * factor, {"device": device})


def find_udev_properties(root: Root, major: str, minor: str) -> Mapping[str, str]:
    """What udev's rules found out about a device; empty where there is no udev."""
    try:
        lines = read_text(f"{root.udev}/b{major}:{minor}").splitlines()
    except OSError:
        return {}
    pairs = (line[2:].partition("=") for line in lines if line.startswith("E:") and "=" in line)
    return {name: value for name, _, value in pairs}


def emit_info(context: Context, device: str, major: str, minor: str, udev: Mapping[str, str]) -> None:
    """The samples that are always 1 and say who the device is, and the ATA properties."""
    emit, root = context.emit, context.root
    emit.gauge(
        "node_disk_info",
        1,
        device=device,
        major=major,
        minor=minor,
        path=udev.get("ID_PATH", ""),
        wwn=udev.get("ID_WWN", ""),
        model=udev.get("ID_MODEL", ""),
        serial=udev.get("SCSI_IDENT_SERIAL") or udev.get("ID_SERIAL_SHORT") or udev.get("ID_SERIAL", ""),
        revision=udev.get("ID_REVISION", ""),
        rotational=root.find_sys_text(f"block/{device.replace('/', '!')}/queue/rotational") or "0",
    )
    if udev.get("ID_FS_TYPE"):
        emit.gauge(
            "node_disk_filesystem_info",
            1,
            device=device,
            type=udev["ID_FS_TYPE"],
            usage=udev.get("ID_FS_USAGE", ""),
            uuid=udev.get("ID_FS_UUID", ""),
            version=udev.get("ID_FS_VERSION", ""),
        )
    if udev.get("DM_NAME"):
        emit.gauge(
            "node_disk_device_mapper_info",
            1,
            device=device,
            name=udev["DM_NAME"],
            uuid=udev.get("DM_UUID", ""),
            vg_name=udev.get("DM_VG_NAME", ""),
            lv_name=udev.get("DM_LV_NAME", ""),
            lv_layer=udev.get("DM_LV_LAYER", ""),
        )
    if udev.get("ID_ATA"):
        for field, family in ATA_PROPERTIES.items():
            if field in udev:
                emit.gauge(f"node_disk_{family}", float(udev[field]), device=device)
