"""The bounds of the spool as the settings say them."""

from nunchi.agent.settings import SpoolSettings
from nunchi.kit.spool import SpoolLimits

MEMORY_BYTES_MAX = 4 << 20


def spool_limits(settings: SpoolSettings) -> SpoolLimits:
    """What is held in memory while the disk fails is never more than the disk would hold."""
    return SpoolLimits(
        settings.bytes_max, settings.age_max.seconds, memory_bytes_max=min(settings.bytes_max, MEMORY_BYTES_MAX)
    )
