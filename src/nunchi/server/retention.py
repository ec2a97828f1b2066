"""How much of the past a server keeps: the configuration file's word where it has one, else the flag's, as Prometheus decides.

Invariant: something always bounds what is kept: 15 days where nobody named a time or a size.
"""

from nunchi.kit.durations import format_duration
from nunchi.kit.sizes import Size
from nunchi.server.flags import ServerFlags
from nunchi.server.storage_settings import StorageSettings, TsdbSettings
from nunchi.tsdb.database import Database
from nunchi.tsdb.state import RETENTION_MS, DatabaseSettings

UNBOUNDED_MS = 100 * 365 * 24 * 3600 * 1000


def database_settings(flags: ServerFlags, tsdb: TsdbSettings) -> DatabaseSettings:
    """What the database works by, given `storage.tsdb` of the configuration file."""
    size = tsdb.retention.size.bytes or flags.storage_tsdb_retention_size_bytes
    time_ms = tsdb.retention.time.ms or flags.storage_tsdb_retention_time_ms
    return DatabaseSettings(
        retention_ms=min(time_ms, UNBOUNDED_MS) or (UNBOUNDED_MS if size else RETENTION_MS),
        retention_bytes=size,
        late_max_ms=tsdb.out_of_order_time_window.ms,
        wal_compressed=flags.storage_tsdb_wal_compression,
        wal_sync_always=flags.storage_tsdb_wal_sync == "always",
    )


def follow_storage(database: Database, flags: ServerFlags, storage: StorageSettings) -> None:
    """Let an open database keep what `storage` of the configuration file says now."""
    chosen = database_settings(flags, storage.tsdb)
    database.keep(chosen.retention_ms, chosen.retention_bytes, chosen.late_max_ms)
    database.hold_exemplars(storage.exemplars.max_exemplars)


def retention_text(settings: DatabaseSettings) -> str:
    """`15d`, `1TB` or `15d or 1TB`: whichever is reached first."""
    bounds = []
    if settings.retention_ms < UNBOUNDED_MS or not settings.retention_bytes:
        bounds.append(format_duration(settings.retention_ms))
    if settings.retention_bytes:
        bounds.append(str(Size(settings.retention_bytes)))
    return " or ".join(bounds)
