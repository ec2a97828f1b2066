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
from nunchi.agent.forwarder.spool import MemorySpool
from nunchi.agent.identity import Identity, load_identity
from nunchi.agent.root import Root
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Burst, CheckInstance, Schedule
from nunchi.agent.settings import AgentSettings, ServerSettings
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk
from nunchi.kit.http_client import HttpClient
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Part
from nunchi.kit.telemetry import Telemetry

THREADS_MAX = 32
BURST_INTERVAL_SECONDS = 1.0


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
) -> Agent:
    """An agent of these settings. Relative files in them are below `folder`; nothing is opened but the agent's id."""
    root = Root(**{name: getattr(settings.paths, name) for name in ("proc", "sys", "rootfs", "udev")})
    state_folder = folder / settings.state_folder
    identity = load_identity(settings.name, state_folder, nunchi.__version__, root, disk, clock, random, log)
    accounting = Accounting(telemetry)
    instances = build_instances(settings)
    forwarder = None
    if settings.server.enabled:
        interval_ms = round(1000 * min((one.interval_seconds for one in instances), default=settings.interval.seconds))
        delivery = build_delivery(settings.server, identity, interval_ms, clock, telemetry, folder, environment)
        spool_settings = settings.spool
        spool = MemorySpool(spool_settings.bytes_max, spool_settings.age_max.seconds, clock, accounting)
        telemetry.gauge("agent_spool_bytes", "Memory of the rounds that wait.").observe_with(lambda: spool.bytes)
        telemetry.gauge("agent_spool_payloads", "Payloads that wait.").observe_with(lambda: len(spool))
        aggregation = Aggregation(settings.labels, accounting)
        forwarder = Forwarder(aggregation, spool, delivery, accounting, telemetry, clock, random, log)
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


def build_delivery(
    settings: ServerSettings,
    identity: Identity,
    interval_ms: int,
    clock: Clock,
    telemetry: Telemetry,
    folder: Path,
    environment: Mapping[str, str],
) -> Delivery:
    """The way to the server."""
    client = HttpClient(
        clock,
        settings,
        folder=folder,
        environment=environment,
        connections_max=1,
        user_agent=f"nunchi-agent/{identity.version}",
    )
    return Delivery(
        settings.url, client, PushEncoder(identity, interval_ms), settings.timeout.seconds, clock, telemetry
    )


def build_exporter(
    settings: AgentSettings, schedule: Schedule, clock: Clock, telemetry: Telemetry, log: Logger
) -> HttpServer | None:
    """The server of `/metrics`, where one is wanted."""
    if settings.exporter is None:
        return None
    policy = HttpPolicy(web_config_file=settings.exporter.web_config_file)
    routes = Exporter(schedule, telemetry).routes()
    return HttpServer("agent.exporter", settings.exporter.address, routes, policy, clock, telemetry, log)
