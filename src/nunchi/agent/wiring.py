"""Puts an agent together from its settings: the one place where its concrete classes meet.

What only some settings ask for is imported where they do: every host pays for what is imported here.
Invariant: parts stand in the order in which they start. They stop in reverse: the schedule ends before what it feeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import nunchi
from nunchi.agent.accounting import Accounting
from nunchi.agent.agent import Agent, AgentParts
from nunchi.agent.api import URL_FILE, AgentApi, load_token
from nunchi.agent.bus_wiring import build_carrier
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.agent.exporter import Exporter
from nunchi.agent.forwarder.delivery import Delivery
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.set_aside import FOLDER, SetAside
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.identity import Identity, load_identity
from nunchi.agent.instances import Instances
from nunchi.agent.keys import KeyChange, load_key
from nunchi.agent.listener import Listener
from nunchi.agent.relay_settings import RelaySettings
from nunchi.agent.root import Root
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Burst, CheckInstance, RoundSink, Schedule
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.agent.settings import AgentSettings, ApiSettings, ExporterSettings
from nunchi.agent.settings_api import SettingsApi
from nunchi.agent.spool_limits import spool_limits
from nunchi.agent.statsd_part import StatsdPart
from nunchi.agent.threads import DaemonThreads, ThreadBackground, ThreadRunner
from nunchi.agent.udp_wiring import build_packs, build_scouter
from nunchi.agent.world import World
from nunchi.kit.clock import Clock
from nunchi.kit.disk import DiskError
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_route import Access
from nunchi.kit.http_server import HttpServer
from nunchi.kit.spool import Spool
from nunchi.kit.telemetry import Telemetry

if TYPE_CHECKING:
    from nunchi.agent.cloud.wiring import Cloud
    from nunchi.agent.forwarder.happenings import HappeningDelivery
    from nunchi.agent.relay.telemetry import RelayTelemetry
    from nunchi.agent.statsd.statsd import Statsd

THREADS_MAX = 32
BURST_INTERVAL_SECONDS = 1.0
SPOOL_FOLDER = "spool"
HAPPENINGS_FOLDER = "happenings"


def build_agent(
    configuration: AgentConfiguration,
    world: World,
    link: ServerLink | None = None,
    source: ConfigurationFolder | None = None,
) -> Agent:
    """An agent of this configuration; nothing is opened but the agent's id.

    `link` is the way to a server in the same process; without one it is the settings' `server`. `source` is where the
    configuration came from, to be read again; without one it stays as it is.
    """
    settings = configuration.settings
    clock, telemetry, log = world.clock, world.telemetry, world.log
    root = Root(**{name: getattr(settings.paths, name) for name in ("proc", "sys", "rootfs", "udev")})
    state = world.folder / settings.state_folder
    identity = load_identity(settings.name, state, nunchi.__version__, root, world.disk, clock, world.random, log)
    telemetry.gauge("agent_start_time_seconds", "When this agent started.").set(identity.started_at_ms / 1000)
    accounting = Accounting(telemetry)
    encoder = PushEncoder(identity, interval_ms=0)
    aggregation = Aggregation(settings.labels, accounting)
    own_link = HttpLink(settings.server, clock, world.folder, world.environment, f"nunchi-agent/{identity.version}")
    own_link.key = load_key(state, world.disk, log)
    link = link or own_link
    statsd = build_statsd(settings, identity, link, state, world.part("statsd"))
    instances = Instances()
    instances.always = statsd.instances()
    first = instances.take(instances.plan(configuration.instances))
    rounds = build_rounds(settings, encoder, accounting, state, world.part("spool"))
    forwarder = packs = None
    if settings.server.enabled:
        observe_spool(rounds, telemetry)
        carrier = build_carrier(settings.server, link, own_link, identity, world.part("bus"))
        delivery = Delivery(carrier, accounting, clock, telemetry)
        packs = build_packs(delivery, own_link, encoder, identity, world.part("udp"))
        packs.plan(settings.udp)()
        forwarder = Forwarder(
            aggregation, rounds, delivery, accounting, telemetry, clock, world.random, log.part("forwarder")
        )
    scouter = build_scouter(settings, forwarder, identity, world.part("scouter"))
    schedule = build_schedule(settings, first, scouter or forwarder, root, identity, world.part("schedule"))
    cloud = build_clippers(settings, identity, forwarder, link, state, world.part("cloud"))
    exporter = build_exporter(settings, schedule, world.part("exporter"))
    changes = KeyChange(own_link, state, world.disk, log.part("keys"))
    parts = AgentParts(
        schedule, forwarder, aggregation, encoder, rounds, link, own_link, exporter, instances, source,
        root, changes, statsd, packs, cloud, scouter,
    )  # fmt: skip
    agent = Agent(configuration, identity, accounting, parts, clock, telemetry, log)
    agent.api = build_api(agent, schedule, cloud, state, world.part("api"))
    agent.relay = build_relay(agent, forwarder, rounds.spool, world.part("relay"))
    return agent


def build_rounds(
    settings: AgentSettings, encoder: PushEncoder, accounting: Accounting, state: Path, world: World
) -> RoundSpool:
    """What waits for the server, on disk; not open yet."""
    disk, clock, log = world.disk, world.clock, world.log
    spool = Spool(
        state / SPOOL_FOLDER, spool_limits(settings.spool), disk, clock, log, accounting.drop, build_background(clock)
    )
    return RoundSpool(spool, encoder, accounting, clock, SetAside(state / FOLDER, disk, clock, log))


def build_background(clock: Clock) -> ThreadBackground:
    """Where a spool's syncs wait for a disk that is busy: one thread, once there is something to wait for."""
    return ThreadBackground(ThreadRunner(DaemonThreads("sync", clock, 1)))


def build_schedule(
    settings: AgentSettings,
    instances: Sequence[CheckInstance],
    sink: RoundSink | None,
    root: Root,
    identity: Identity,
    world: World,
) -> Schedule:
    """What runs the checks. Agents begin their rounds at different moments, each always at the same."""
    return Schedule(
        instances,
        sink,
        ThreadRunner(DaemonThreads("check", world.clock, THREADS_MAX)),
        root,
        world.clock,
        CheckTelemetry(world.telemetry),
        world.log,
        phase=int(identity.id[:8], 16) / 2**32,
        burst=Burst(settings.burst.seconds, BURST_INTERVAL_SECONDS) if settings.burst else None,
    )


def build_exporter(settings: AgentSettings, schedule: Schedule, world: World) -> Listener[ExporterSettings]:
    """The listener of `/metrics`, which may be switched on later."""

    def open_exporter(own: ExporterSettings) -> HttpServer:
        policy = HttpPolicy(web_config_file=own.web_config(world.folder))
        routes = Exporter(schedule, world.telemetry).routes()
        return HttpServer("agent.exporter", own.address, routes, policy, world.clock, world.telemetry, world.log)

    return Listener("agent.exporter", settings.exporter, open_exporter, world.clock, world.log)


def build_statsd(
    settings: AgentSettings, identity: Identity, link: ServerLink, state: Path, world: World
) -> StatsdPart:
    """The listeners of StatsD, which may be wanted later. Raises InputError where the mapping rules cannot be used."""
    clock, random, log = world.clock, world.random, world.log

    def build(wanted: AgentSettings) -> "tuple[Statsd, HappeningDelivery | None]":
        from nunchi.agent.forwarder.happenings import SPOOL_LIMITS, HappeningDelivery
        from nunchi.agent.statsd.statsd import Statsd

        assert wanted.statsd is not None
        statsd = Statsd(wanted.statsd, wanted.interval.seconds, clock, random, world.telemetry, log, world.folder)
        if not wanted.server.enabled:
            return statsd, None
        counts = statsd.telemetry
        spool = Spool(
            state / HAPPENINGS_FOLDER, SPOOL_LIMITS, world.disk, clock, log,
            on_drop=lambda reason, count: counts.dropped.add(count, reason), background=build_background(clock),
        )  # fmt: skip
        return statsd, HappeningDelivery(statsd.happenings, spool, link, identity, clock, random, counts, log)

    return StatsdPart(build, settings)


def build_clippers(
    settings: AgentSettings,
    identity: Identity,
    forwarder: Forwarder | None,
    link: ServerLink,
    state: Path,
    world: World,
) -> "Cloud | None":
    """What watches cloud accounts, where that is wanted and there is a server to deliver to."""
    if settings.cloud is None:
        return None
    if forwarder is None:
        world.log.warning("no clippers: they deliver to a server, and the settings say that there is none")
        return None
    from nunchi.agent.clippers import build_providers
    from nunchi.agent.cloud.wiring import CloudWorld, build_cloud

    lent = CloudWorld(
        identity, settings.labels, forwarder, link, world.folder, state, world.disk, world.clock, world.random,
        world.telemetry, world.log,
    )  # fmt: skip
    return build_cloud(settings.cloud, build_providers, lent)


def build_api(
    agent: Agent, schedule: Schedule, cloud: "Cloud | None", state: Path, world: World
) -> Listener[ApiSettings]:
    """The API's listener; where its token cannot be kept, nobody could use it, so it does not listen."""
    disk, telemetry, log = world.disk, world.telemetry, world.log
    settings = agent.configuration.settings.api
    changes = SettingsApi(lambda: agent.configuration.settings, agent.reload, state, disk)
    others = [*changes.routes(), *(cloud.api.routes() if cloud is not None else ())]
    refused = telemetry.counter("agent_api_refused_total", "Requests to the API without the token.")

    def open_api(own: ApiSettings) -> HttpServer:
        token = load_token(state, disk, world.random)
        routes = AgentApi(token, agent.status, agent.reload, schedule, telemetry, refused, others).routes()
        web_config_file = own.web_config(world.folder)
        if web_config_file is not None:  # the token is a secret of its own, which wants TLS and no users beside it
            routes = [replace(route, access=Access.JOIN) for route in routes]
        policy = HttpPolicy(web_config_file=web_config_file, insecure=web_config_file is not None)
        return HttpServer("agent.api", own.address, routes, policy, world.clock, telemetry, log)

    def note_url(url: str) -> None:
        try:
            disk.write_atomically(state / URL_FILE, f"{url}\n".encode())
        except DiskError as error:
            log.warning("the API's address cannot be kept", error=error)

    return Listener("agent.api", settings if settings.enabled else None, open_api, world.clock, log, note_url)


def build_relay(
    agent: Agent, forwarder: Forwarder | None, spool: Spool, world: World
) -> Listener[RelaySettings] | None:
    """The listener for others' samples, which may be switched on later; None where there is no server to deliver to."""

    def settings() -> AgentSettings:
        return agent.configuration.settings

    if forwarder is None:
        if settings().relay is not None:
            world.log.warning("no relay: it delivers to a server, and the settings say that there is none")
        return None
    counts: list[RelayTelemetry] = []  # made with the first listener

    def open_relay(own: RelaySettings) -> HttpServer:
        from nunchi.agent.relay.telemetry import RelayTelemetry
        from nunchi.agent.relay.wiring import RelayServer, RelayWorld

        if not counts:
            counts.append(RelayTelemetry(world.telemetry))
        lent = RelayWorld(
            lambda: settings().labels, lambda: settings().server, forwarder, spool, world.folder, world.environment,
            world.clock, world.telemetry, counts[0], world.log,
        )  # fmt: skip
        return RelayServer(own, lent)

    return Listener("agent.relay", settings().relay, open_relay, world.clock, world.log)


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
