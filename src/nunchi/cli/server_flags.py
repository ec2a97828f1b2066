"""The flags that `nunchi server` and `nunchi up` share, with Prometheus's names, and how they become `ServerFlags`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.sizes import Size


class DurationType(click.ParamType[int]):
    """A duration as Prometheus writes it (`15d`, `1h30m`), in milliseconds, none where only a longer one makes sense."""

    name = "duration"

    def __init__(self, *, may_be_zero: bool = True) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds of a text."""
        if isinstance(value, int):
            return value
        try:
            duration_ms = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not duration_ms and not self._may_be_zero:
            self.fail("must be longer than 0", param, ctx)
        return duration_ms


class SizeType(click.ParamType[int]):
    """An amount as Prometheus writes it (`512MB`, `1GB`), in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of a text."""
        if isinstance(value, int):
            return value
        try:
            return Size.parse(value).bytes
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AddressType(click.ParamType[str]):
    """Where to listen (`host:port`), as text; nothing at all where a listener may be left out."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, once it is known to be an address."""
        try:
            if value:
                ListenAddress.parse(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return str(value)


DURATION = DurationType()
TRUE_DURATION = DurationType(may_be_zero=False)
SIZE = SizeType()
ADDRESS = AddressType()
FILE = click.Path(dir_okay=False, path_type=Path)

# (flag, parameter, options of click); the help texts are the reference of docs/guides/flags.md.
FLAGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("--config.file", "config_file", {"type": FILE, "help": "Prometheus configuration file."}),
    (
        "--alertmanager.config.file",
        "alertmanager_config_file",
        {"type": FILE, "help": "Alertmanager configuration file: routes and receivers of nunchi's own notifications."},
    ),
    (
        "--storage.tsdb.path",
        "storage_tsdb_path",
        {"type": click.Path(path_type=Path), "default": "data", "help": "Data folder."},
    ),
    (
        "--storage.tsdb.retention.time",
        "storage_tsdb_retention_time_ms",
        {"type": DURATION, "default": "0s", "help": "How long samples are kept; 15d where no size bounds them either."},
    ),
    (
        "--storage.tsdb.retention.size",
        "storage_tsdb_retention_size_bytes",
        {"type": SIZE, "default": "0", "help": "How much room sealed samples may take, as 512MB; 0 is no bound."},
    ),
    (
        "--storage.tsdb.wal-compression/--no-storage.tsdb.wal-compression",
        "storage_tsdb_wal_compression",
        {"default": True, "show_default": "on", "help": "Compress the write-ahead log."},
    ),
    (
        "--storage.tsdb.wal-sync",
        "storage_tsdb_wal_sync",
        {
            "type": click.Choice(["interval", "always"]),
            "default": "interval",
            "help": "When the write-ahead log is synced: every second, or before each acknowledgement.",
        },
    ),
    (
        "--web.listen-address",
        "web_listen_address",
        {"type": ADDRESS, "default": "127.0.0.1:9190", "help": "Address to listen on; port 0 takes a free one."},
    ),
    (
        "--web.external-url",
        "web_external_url",
        {"default": "", "help": "Address under which people reach this server."},
    ),
    ("--web.config.file", "web_config_file", {"type": FILE, "help": "TLS and users, as Prometheus's web.yml."}),
    ("--web.enable-lifecycle", "web_enable_lifecycle", {"is_flag": True, "help": "Allow POST /-/reload and /-/quit."}),
    (
        "--web.enable-admin-api",
        "web_enable_admin_api",
        {"is_flag": True, "help": "Allow /api/v1/admin/tsdb: delete series, make snapshots."},
    ),
    (
        "--web.insecure",
        "web_insecure",
        {"is_flag": True, "help": "Allow a listener beyond loopback without TLS and authentication."},
    ),
    (
        "--query.lookback-delta",
        "query_lookback_delta_ms",
        {"type": TRUE_DURATION, "default": "5m", "help": "How far back a selector looks for a sample."},
    ),
    (
        "--query.timeout",
        "query_timeout_ms",
        {"type": TRUE_DURATION, "default": "2m", "help": "Longest run of a query."},
    ),
    (
        "--query.max-concurrency",
        "query_max_concurrency",
        {"type": click.IntRange(1), "default": 20, "help": "Queries that run at once; more wait."},
    ),
    (
        "--query.max-samples",
        "query_max_samples",
        {"type": click.IntRange(1), "default": 50_000_000, "help": "Samples that one query may hold."},
    ),
    (
        "--query.max-bytes",
        "query_max_bytes",
        {"type": SIZE, "default": "2GB", "help": "Memory of the samples that one query may hold; 0: any."},
    ),
    (
        "--query.max-series",
        "query_max_series",
        {"type": click.IntRange(0), "default": 0, "help": "Series that one selector may match; 0: any number."},
    ),
    (
        "--query.functions",
        "query_functions",
        {"type": FILE, "multiple": True, "help": "Python file with functions that PromQL may call; may be repeated."},
    ),
    (
        "--enable-feature",
        "enable_feature",
        {
            "multiple": True,
            "help": "Experimental parts of PromQL, by Prometheus's names, with commas; `st-storage`: scrapes keep start "
            "timestamps; may be repeated.",
        },
    ),
    (
        "--rules.alert.for-grace-period",
        "rules_alert_for_grace_period_ms",
        {"type": DURATION, "default": "10m", "help": "Shortest wait between a restored pending alert and its firing."},
    ),
    (
        "--rules.alert.for-outage-tolerance",
        "rules_alert_for_outage_tolerance_ms",
        {"type": DURATION, "default": "1h", "help": "Longest outage after which pending alerts are restored."},
    ),
    (
        "--rules.alert.resend-delay",
        "rules_alert_resend_delay_ms",
        {"type": DURATION, "default": "1m", "help": "Shortest wait before an alert is sent to Alertmanagers again."},
    ),
    (
        "--receive.pack-listen-address",
        "receive_pack_listen_address",
        {"type": ADDRESS, "default": "", "help": "UDP address for the packs of agents; none unless given."},
    ),
    (
        "--receive.pack-keys-file",
        "receive_pack_keys_file",
        {"type": FILE, "help": "Keys of packs for agents that never joined, as YAML: keys, by agent id."},
    ),
    (
        "--receive.bus-config-file",
        "receive_bus_config_file",
        {"type": FILE, "help": "The message bus from which payloads of agents are taken, as YAML: urls, cluster, …"},
    ),
    (
        "--receive.scouter-listen-address",
        "receive_scouter_listen_address",
        {"type": ADDRESS, "default": "", "help": "UDP address for Scouter packs; none unless given."},
    ),
    (
        "--receive.scouter-source",
        "receive_scouter_source",
        {"multiple": True, "help": "Address or network that may send Scouter packs; may be repeated."},
    ),
)


LOG_FLAGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "--log.level",
        "log_level",
        {"type": click.Choice(["debug", "info", "warn", "error"]), "default": "info", "help": "Least level to log."},
    ),
    (
        "--log.format",
        "log_format",
        {"type": click.Choice(["logfmt", "json"]), "default": "logfmt", "help": "Form of log lines."},
    ),
)


def with_server_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all of `FLAGS`, and the two of logging."""
    for flag, parameter, options in reversed((*FLAGS, *LOG_FLAGS)):
        shown = {"show_default": options.get("default") not in (None, "")}
        command = click.option(flag, parameter, **(shown | options))(command)
    return command
