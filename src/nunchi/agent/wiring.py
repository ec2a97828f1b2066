"""Puts an agent together from its settings: the one place where its concrete classes meet.

Invariant: parts stand in the order in which they start. They stop in reverse: the schedule ends before what it feeds.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import nunchi
from nunchi.agent.accounting import Accounting
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.checks import CHECKS
from nunchi.agent.exporter import Exporter
from nunchi.agent.forwarder.delivery import Delivery
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity, load_identity
from nunchi.agent.root import Root
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Burst, CheckInstance, Schedule
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.agent.settings import AgentSettings, SpoolSettings
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import Logger
from nunchi.kit.spool import Spool, SpoolLimits
from nunchi.kit.supervision import Part
from nunchi.kit.telemetry import Telemetry

THREADS_MAX = 32
BURST_INTERVAL_SECONDS = 1.0
SPOOL_FOLDER = "spool"
SPOOL_MEMORY_BYTES_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class Agent:
    """A whole agent, not started: its parts in their order, and what others may want to look at."""

    parts: tuple[Part, ...]
    identity: Identity
    schedule: Schedule
    accounting: Accounting
    exporter: HttpServer | None


def build_agent(
    settings: AgentSettings,
    clock: Clock,
    random: Random,
    disk: Disk,
    telemetry: Telemetry,
    log: Logger,
    folder: Path = Path(),
    environment: Mapping[str, str] = os.environ,
    link: ServerLink | None = None,
) -> Agent:
    """An agent of these settings. Relative files in them are below `folder`; nothing is opened but the agent's id.

    `link` is the way to a server in the same process; without one it is the settings' `server`.
    """
    root = Root(**{name: getattr(settings.paths, name) for name in ("proc", "sys", "rootfs", "udev")})
    state_folder = folder / settings.state_folder
    identity = load_identity(settings.name, state_folder, nunchi.__version__, root, disk, clock, random, log)
    accounting = Accounting(telemetry)
    instances = build_instances(settings)
    forwarder = None
    if settings.server.enabled:
        interval_ms = round(1000 * min((one.interval_seconds for one in instances), default=settings.interval.seconds))
        user_agent = f"nunchi-agent/{identity.version}"
        link = link or HttpLink(settings.server, clock, folder, environment, user_agent)
        encoder = PushEncoder(identity, interval_ms)
        spool = Spool(
            state_folder / SPOOL_FOLDER, spool_limits(settings.spool), disk, clock, log, on_drop=accounting.drop
        )
        rounds = RoundSpool(spool, encoder, accounting, clock)
        observe_spool(rounds, telemetry)
        delivery = Delivery(link, accounting, clock, telemetry)
        aggregation = Aggregation(settings.labels, accounting)
        forwarder = Forwarder(aggregation, rounds, delivery, accounting, telemetry, clock, random, log)
    schedule = Schedule(
        instances,
        forwarder,
        ThreadRunner(DaemonThreads("check", clock, THREADS_MAX)),
        root,
        clock,
        CheckTelemetry(telemetry),
        log,
        phase=int(identity.id[:8], 16) / 2**32,
        burst=Burst(settings.burst.seconds, BURST_INTERVAL_SECONDS) if settings.burst else None,
    )
    telemetry.gauge("agent_start_time_seconds", "When this agent started.").set(identity.started_at_ms / 1000)
    exporter = build_exporter(settings, schedule, clock, telemetry, log)
    parts = (forwarder, schedule, exporter)
    return Agent(tuple(part for part in parts if part is not None), identity, schedule, accounting, exporter)


def build_instances(settings: AgentSettings) -> list[CheckInstance]:
    """One object per enabled check."""
    types = {check.name: check for check in CHECKS}
    return [
        CheckInstance(name, types[name](own), settings.interval_seconds(own), settings.deadline_seconds(own))
        for name, own in settings.check_settings()
    ]


def spool_limits(settings: SpoolSettings) -> SpoolLimits:
    """The bounds of the spool; what is held in memory while the disk fails is never more than the disk would hold."""
    return SpoolLimits(settings.bytes_max, settings.age_max.seconds, min(settings.bytes_max, SPOOL_MEMORY_BYTES_MAX))


def observe_spool(rounds: RoundSpool, telemetry: Telemetry) -> None:
    """Metrics of what waits."""
    spool = rounds.spool
    for name, help_text, observe in (
        ("agent_spool_bytes", "Bytes of the payloads that wait.", lambda: spool.statistics().bytes),
        ("agent_spool_disk_bytes", "Bytes of the spool's files.", lambda: spool.statistics().disk_bytes),
        ("agent_spool_memory_bytes", "Bytes that the disk does not take now.", lambda: spool.statistics().memory_bytes),
        ("agent_spool_payloads", "Payloads that wait.", lambda: len(spool)),
        ("agent_spool_oldest_seconds", "Age of the oldest that waits.", lambda: spool.statistics().oldest_seconds),
        (
            "agent_spool_outage_seconds_left",
            "How long the server may be away before samples are dropped.",
            rounds.outage_seconds_left,
        ),
    ):
        telemetry.gauge(name, help_text).observe_with(observe)


def build_exporter(
    settings: AgentSettings, schedule: Schedule, clock: Clock, telemetry: Telemetry, log: Logger
) -> HttpServer | None:
    """The server of `/metrics`, where one is wanted."""
    if settings.exporter is None:
        return None
    policy = HttpPolicy(web_config_file=settings.exporter.web_config_file)
    routes = Exporter(schedule, telemetry).routes()
    return HttpServer("agent.exporter", settings.exporter.address, routes, policy, clock, telemetry, log)
