"""The flags that `nunchi server` and `nunchi up` share, with Prometheus's names, and how they become `ServerFlags`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.sizes import Size
from nunchi.server.flags import ServerFlags, flag_name


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

# (field of ServerFlags, type where its default does not say it, what it does), in the order of the help. Name and default are
# the field's; docs/guides/flags.md has the same.
FLAGS: tuple[tuple[str, click.ParamType[Any] | None, str], ...] = (
    ("config_file", FILE, "Prometheus configuration file."),
    ("config_auto_reload", None, "Read the configuration again when one of its files changes."),
    ("config_auto_reload_interval_ms", TRUE_DURATION, "How often these files are looked at."),
    (
        "alertmanager_config_file",
        FILE,
        "Alertmanager configuration file: routes and receivers of nunchi's own notifications.",
    ),
    ("storage_tsdb_path", click.Path(path_type=Path), "Data folder."),
    ("storage_tsdb_retention_time_ms", DURATION, "How long samples are kept; 15d where no size bounds them either."),
    (
        "storage_tsdb_retention_size_bytes",
        SIZE,
        "How much room samples may take, log included, as 512MB; 0 is no bound.",
    ),
    ("storage_tsdb_wal_compression", None, "Compress the write-ahead log."),
    (
        "storage_tsdb_wal_sync",
        click.Choice(["interval", "always"]),
        "When the write-ahead log is synced: every second, or before each acknowledgement.",
    ),
    ("web_listen_address", ADDRESS, "Address to listen on; port 0 takes a free one."),
    ("web_external_url", None, "Address under which people reach this server."),
    ("web_route_prefix", None, "Path before all routes, where it is not that of --web.external-url."),
    ("web_max_connections", click.IntRange(1), "Connections that are open at once; more are refused."),
    (
        "web_cors_origin",
        None,
        "Regular expression of origins whose pages may read answers, as 'https://.*\\.example\\.org'; none unless given.",
    ),
    ("web_config_file", FILE, "TLS and users, as Prometheus's web.yml."),
    ("web_enable_lifecycle", None, "Allow POST /-/reload and /-/quit."),
    ("web_enable_admin_api", None, "Allow /api/v1/admin/tsdb: delete series, make snapshots."),
    ("web_insecure", None, "Allow a listener beyond loopback without TLS and authentication."),
    ("query_lookback_delta_ms", TRUE_DURATION, "How far back a selector looks for a sample."),
    ("query_timeout_ms", TRUE_DURATION, "Longest run of a query."),
    ("query_max_concurrency", click.IntRange(1), "Queries that run at once; more wait."),
    ("query_max_samples", click.IntRange(1), "Samples that one query may hold."),
    ("query_max_bytes", SIZE, "Memory of the samples that one query may hold; 0: any."),
    ("query_max_series", click.IntRange(0), "Series that one selector may match; 0: any number."),
    ("query_functions", FILE, "Python file with functions that PromQL may call; may be repeated."),
    ("enable_feature", None, "Features, by Prometheus's names, with commas; may be repeated."),
    ("rules_alert_for_grace_period_ms", DURATION, "Shortest wait between a restored pending alert and its firing."),
    ("rules_alert_for_outage_tolerance_ms", DURATION, "Longest outage after which pending alerts are restored."),
    ("rules_alert_resend_delay_ms", DURATION, "Shortest wait before an alert is sent to Alertmanagers again."),
    ("receive_pack_listen_address", ADDRESS, "UDP address for the packs of agents; none unless given."),
    ("receive_pack_keys_file", FILE, "Keys of packs for agents that never joined, as YAML: keys, by agent id."),
    (
        "receive_bus_config_file",
        FILE,
        "The message bus from which payloads of agents are taken, as YAML: urls, cluster, …",
    ),
    ("receive_scouter_listen_address", ADDRESS, "UDP address for Scouter packs; none unless given."),
    ("receive_scouter_source", None, "Address or network that may send Scouter packs; may be repeated."),
    ("log_level", click.Choice(["debug", "info", "warn", "error"]), "Least level to log."),
    ("log_format", click.Choice(["logfmt", "json"]), "Form of log lines."),
)


def with_server_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all of `FLAGS`."""
    texts = ServerFlags().shown()
    for field, kind, help_text in reversed(FLAGS):
        name, default = f"--{flag_name(field)}", getattr(ServerFlags(), field)
        given: dict[str, Any] = {"help": help_text, "type": kind}
        if isinstance(default, tuple):
            given |= {"multiple": True}
        elif default is True:
            name, given = f"{name}/--no-{flag_name(field)}", given | {"default": True, "show_default": "on"}
        elif default is False:
            given |= {"is_flag": True}
        elif default is not None:
            text = texts[flag_name(field)]
            given |= {"default": text, "show_default": bool(text)}
        command = click.option(name, field, **given)(command)
    return command
