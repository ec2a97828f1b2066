"""What the command line decides for the life of a process; the configuration files say everything that a reload may change."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from nunchi.kit.durations import format_duration
from nunchi.kit.sizes import Size


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """Flags of `nunchi server` and `nunchi up`. The names follow Prometheus's: see `flag_name`.

    config_file                       None: no scraping, no rules but the shipped ones (`up` brings its own configuration)
    alertmanager_config_file          None: nunchi notifies nobody itself
    storage_tsdb_retention_time_ms    0: not bounded by time where it is by size, else the default of `retention`
    storage_tsdb_retention_size_bytes 0: not bounded by size
    web_route_prefix                  empty: the path of web_external_url
    web_cors_origin                   a regular expression; empty: no page of another site reads answers
    """

    config_file: Path | None = None
    config_auto_reload: bool = False
    config_auto_reload_interval_ms: int = 30 * 1000
    alertmanager_config_file: Path | None = None
    storage_tsdb_path: Path = Path("data")
    storage_tsdb_retention_time_ms: int = 0
    storage_tsdb_retention_size_bytes: int = 0
    storage_tsdb_wal_compression: bool = True
    storage_tsdb_wal_sync: str = "interval"
    web_listen_address: str = "127.0.0.1:9190"
    web_external_url: str = ""
    web_route_prefix: str = ""
    web_max_connections: int = 512
    web_cors_origin: str = ""
    web_config_file: Path | None = None
    web_enable_lifecycle: bool = False
    web_enable_admin_api: bool = False
    web_insecure: bool = False
    query_lookback_delta_ms: int = 5 * 60 * 1000
    query_timeout_ms: int = 2 * 60 * 1000
    query_max_concurrency: int = 20
    query_max_samples: int = 50_000_000
    query_max_bytes: int = 2 * 1024**3
    query_max_series: int = 0
    query_functions: tuple[Path, ...] = ()
    enable_feature: tuple[str, ...] = ()
    rules_alert_for_grace_period_ms: int = 10 * 60 * 1000
    rules_alert_for_outage_tolerance_ms: int = 60 * 60 * 1000
    rules_alert_resend_delay_ms: int = 60 * 1000
    receive_pack_listen_address: str = ""
    receive_pack_keys_file: Path | None = None
    receive_bus_config_file: Path | None = None
    receive_scouter_listen_address: str = ""
    receive_scouter_source: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "logfmt"

    def shown(self) -> Mapping[str, str]:
        """Every flag as it would be typed, by name without dashes."""
        return {flag_name(field.name): _text(field.name, getattr(self, field.name)) for field in fields(self)}


# Within these groups Prometheus joins words with dashes, between them with dots.
_GROUPS = (
    "storage_tsdb_retention",
    "storage_tsdb",
    "web_config",
    "web_cors",
    "web",
    "query",
    "rules_alert",
    "receive",
    "alertmanager_config",
    "config",
    "log",
)


def flag_name(field_name: str) -> str:
    """`storage_tsdb_retention_time_ms` is typed `storage.tsdb.retention.time`."""
    name = field_name.removesuffix("_ms")
    if name.endswith("_size_bytes"):
        name = name.removesuffix("_bytes")
    if name == "enable_feature":
        return "enable-feature"
    for group in _GROUPS:
        if name.startswith(f"{group}_"):
            return f"{group.replace('_', '.')}.{name.removeprefix(f'{group}_').replace('_', '-')}"
    raise AssertionError(field_name)


def _text(field_name: str, value: object) -> str:
    if field_name.endswith("_ms") and isinstance(value, int):
        return format_duration(value)
    if field_name.endswith("_bytes") and isinstance(value, int):
        return str(Size(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
