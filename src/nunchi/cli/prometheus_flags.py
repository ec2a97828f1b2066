"""Prometheus's flags that decide nothing here, taken so that a command line which starts Prometheus starts nunchi as well.

Invariant: none is swallowed silently: whoever gives one reads in the log why it has no effect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from nunchi.kit.logs import Logger

_META = "nunchi.prometheus_flags"

CONSOLES = "there are no console templates: the pages are nunchi's own"
RUNTIME = "it steers the runtime of Go"
BLOCKS = "blocks, log and runs have a form of their own, and their sizes follow the data"
REMOTE_READ = "no remote read is served"
QUEUE = "the queue to Alertmanagers is bounded on its own, and what is dropped is counted"
LATE = "out_of_order_time_window of the configuration decides about late samples"
SCRAPE_TIME = "a scrape that began on time has the moment at which it was due"
AGENT_MODE = "agents are a program of their own: nunchi agent"


@dataclass(frozen=True, slots=True)
class PrometheusFlag:
    """A flag without dashes, and why it has no effect; a switch takes no value and has a `--no-` form."""

    name: str
    reason: str
    is_switch: bool = False


PROMETHEUS_FLAGS = (
    PrometheusFlag("auto-gomaxprocs", RUNTIME, is_switch=True),
    PrometheusFlag("auto-gomemlimit", RUNTIME, is_switch=True),
    PrometheusFlag("auto-gomemlimit.ratio", RUNTIME),
    PrometheusFlag("web.read-timeout", "a request has 60 s to arrive, a silent connection is ended"),
    PrometheusFlag("web.max-notifications-subscribers", "pages ask for notifications, nobody subscribes"),
    PrometheusFlag("web.user-assets", "the pages are nunchi's own"),
    PrometheusFlag("web.page-title", "the pages are nunchi's own"),
    PrometheusFlag("web.console.templates", CONSOLES),
    PrometheusFlag("web.console.libraries", CONSOLES),
    PrometheusFlag("web.enable-remote-write-receiver", "remote write is always received", is_switch=True),
    PrometheusFlag(
        "web.remote-write-receiver.accepted-protobuf-messages", "every version that is known here is received"
    ),
    PrometheusFlag("web.enable-otlp-receiver", "this version receives no OTLP", is_switch=True),
    PrometheusFlag("storage.tsdb.min-block-duration", BLOCKS),
    PrometheusFlag("storage.tsdb.max-block-duration", BLOCKS),
    PrometheusFlag("storage.tsdb.max-block-chunk-segment-size", BLOCKS),
    PrometheusFlag("storage.tsdb.wal-segment-size", BLOCKS),
    PrometheusFlag("storage.tsdb.wal-compression-type", "the log is compressed in one way"),
    PrometheusFlag("storage.tsdb.head-chunks-write-queue-size", BLOCKS),
    PrometheusFlag("storage.tsdb.samples-per-chunk", BLOCKS),
    PrometheusFlag("storage.tsdb.delayed-compaction.max-percent", BLOCKS),
    PrometheusFlag("storage.tsdb.allow-overlapping-blocks", LATE, is_switch=True),
    PrometheusFlag("storage.tsdb.allow-overlapping-compaction", LATE, is_switch=True),
    PrometheusFlag("storage.tsdb.no-lockfile", "the lock ends with the process and cannot be left over", is_switch=True),
    PrometheusFlag("storage.remote.flush-deadline", "no remote write is sent"),
    PrometheusFlag("storage.remote.read-sample-limit", REMOTE_READ),
    PrometheusFlag("storage.remote.read-concurrent-limit", REMOTE_READ),
    PrometheusFlag("storage.remote.read-max-bytes-in-frame", REMOTE_READ),
    PrometheusFlag("storage.agent.path", AGENT_MODE),
    PrometheusFlag("storage.agent.wal-compression", AGENT_MODE, is_switch=True),
    PrometheusFlag("storage.agent.retention.min-time", AGENT_MODE),
    PrometheusFlag("storage.agent.retention.max-time", AGENT_MODE),
    PrometheusFlag("rules.max-concurrent-evals", "every group has a task of its own"),
    PrometheusFlag("alertmanager.notification-queue-capacity", QUEUE),
    PrometheusFlag("alertmanager.notification-batch-size", QUEUE),
    PrometheusFlag(
        "alertmanager.drain-notification-queue-on-shutdown", "what waits is offered once more at the end",
        is_switch=True,
    ),
    PrometheusFlag("scrape.adjust-timestamps", SCRAPE_TIME, is_switch=True),
    PrometheusFlag("scrape.timestamp-tolerance", SCRAPE_TIME),
    PrometheusFlag("scrape.discovery-reload-interval", "targets are taken up when they change"),
)  # fmt: skip


def with_prometheus_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take all of `PROMETHEUS_FLAGS`; its help does not show them, its parameters are not given them."""
    for flag in reversed(PROMETHEUS_FLAGS):
        name = f"--{flag.name}/--no-{flag.name}" if flag.is_switch else f"--{flag.name}"
        given: dict[str, Any] = {"default": None, "expose_value": False, "hidden": True, "callback": _note}
        command = click.option(name, _parameter(flag), **given)(command)
    return click.option("--agent", is_flag=True, expose_value=False, hidden=True, callback=_refuse_agent_mode)(command)


def warn_without_effect(log: Logger) -> None:
    """Say of the flags that the running command was given which have no effect, and why."""
    noted: list[PrometheusFlag] = click.get_current_context().meta.get(_META, [])
    for flag in noted:
        log.warning("flag has no effect", flag=f"--{flag.name}", reason=flag.reason)


def _parameter(flag: PrometheusFlag) -> str:
    return f"prometheus_{flag.name.replace('.', '_').replace('-', '_')}"


_BY_PARAMETER = {_parameter(flag): flag for flag in PROMETHEUS_FLAGS}


def _note(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None:
        context.meta.setdefault(_META, []).append(_BY_PARAMETER[parameter.name or ""])


def _refuse_agent_mode(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        raise click.UsageError(f"--agent: {AGENT_MODE}", context)
