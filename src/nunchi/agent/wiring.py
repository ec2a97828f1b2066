"""Puts an agent together from its settings: the one place where its concrete classes meet.

What only some settings ask for is imported where they do: every host pays for what is imported here.
Invariant: parts stand in the order in which they start. They stop in reverse: the schedule ends before what it feeds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import nunchi
from nunchi.agent.accounting import Accounting
from nunchi.agent.agent import Agent, AgentParts
from nunchi.agent.api import URL_FILE, AgentApi, load_token
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.clipper_settings import CloudSettings
from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.agent.exporter import Exporter
from nunchi.agent.forwarder.delivery import Delivery, FastWay
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
from nunchi.agent.schedule import Burst, Schedule
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.agent.settings import AgentSettings, ApiSettings, ExporterSettings
from nunchi.agent.settings_api import SettingsApi
from nunchi.agent.spool_limits import spool_limits
from nunchi.agent.statsd_part import StatsdPart
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.agent.udp_sender_settings import UdpSettings
from nunchi.agent.udp_switch import PackSwitch
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError
from nunchi.kit.errors import InputError
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import Logger
from nunchi.kit.secrets import Secret
from nunchi.kit.spool import Spool
from nunchi.kit.telemetry import Telemetry

if TYPE_CHECKING:
    from nunchi.agent.cloud.wiring import Cloud
    from nunchi.agent.forwarder.happenings import HappeningDelivery
    from nunchi.agent.relay.telemetry import RelayTelemetry
    from nunchi.agent.scouter_sender import ScouterSender
    from nunchi.agent.statsd.statsd import Statsd
    from nunchi.agent.udp_sender import UdpTelemetry

THREADS_MAX = 32
BURST_INTERVAL_SECONDS = 1.0
SPOOL_FOLDER = "spool"
HAPPENINGS_FOLDER = "happenings"


def build_agent(
    configuration: AgentConfiguration,
    clock: Clock,
    random: Random,
    disk: Disk,
    telemetry: Telemetry,
    log: Logger,
    folder: Path = Path(),
    environment: Mapping[str, str] = os.environ,
    link: ServerLink | None = None,
    source: ConfigurationFolder | None = None,
) -> Agent:
    """An agent of this configuration. Relative files in it are below `folder`; nothing is opened but the agent's id.

    `link` is the way to a server in the same process; without one it is the settings' `server`. `source` is where the
    configuration came from, to be read again; without one it stays as it is.
    """
    settings = configuration.settings
    root = Root(**{name: getattr(settings.paths, name) for name in ("proc", "sys", "rootfs", "udev")})
    state_folder = folder / settings.state_folder
    identity = load_identity(settings.name, state_folder, nunchi.__version__, root, disk, clock, random, log)
    accounting = Accounting(telemetry)
    instances = Instances()
    encoder = PushEncoder(identity, interval_ms=0)
    aggregation = Aggregation(settings.labels, accounting)
    own_link = HttpLink(settings.server, clock, folder, environment, f"nunchi-agent/{identity.version}")
    own_link.key = load_key(state_folder, disk, log)
    statsd = build_statsd(
        settings, identity, link or own_link, folder, state_folder, disk, clock, random, telemetry, log.part("statsd")
    )
    instances.always = statsd.instances()
    first = instances.take(instances.plan(configuration.instances))
    rounds = build_rounds(settings, encoder, accounting, state_folder, disk, clock, log.part("spool"))
    forwarder = packs = None
    if settings.server.enabled:
        observe_spool(rounds, telemetry)
        delivery = Delivery(link or own_link, accounting, clock, telemetry)
        packs = build_packs(
            delivery, own_link, encoder, identity, clock, random, disk, telemetry, log.part("udp"), folder
        )
        packs.plan(settings.udp)()
        forwarder = Forwarder(
            aggregation, rounds, delivery, accounting, telemetry, clock, random, log.part("forwarder")
        )
    scouter = build_scouter(settings, forwarder, identity, telemetry, log.part("scouter"))
    schedule = Schedule(
        first,
        scouter or forwarder,
        ThreadRunner(DaemonThreads("check", clock, THREADS_MAX)),
        root,
        clock,
        CheckTelemetry(telemetry),
        log.part("schedule"),
        phase=int(identity.id[:8], 16) / 2**32,
        burst=Burst(settings.burst.seconds, BURST_INTERVAL_SECONDS) if settings.burst else None,
    )
    telemetry.gauge("agent_start_time_seconds", "When this agent started.").set(identity.started_at_ms / 1000)

    cloud = None
    if settings.cloud is not None and forwarder is not None:
        cloud = build_clippers(
            settings.cloud, identity, settings.labels, forwarder, link or own_link, folder, state_folder, disk, clock,
            random, telemetry, log.part("cloud"),
        )  # fmt: skip
    elif settings.cloud is not None:
        log.warning("no clippers: they deliver to a server, and the settings say that there is none")
    exporter = build_exporter(settings, schedule, clock, telemetry, log.part("exporter"))
    changes = KeyChange(own_link, state_folder, disk, log.part("keys"))
    parts = AgentParts(
        schedule, forwarder, aggregation, encoder, rounds, link or own_link, own_link, exporter, instances, source,
        root, changes, statsd, packs, cloud, scouter,
    )  # fmt: skip
    agent = Agent(configuration, identity, accounting, parts, clock, telemetry, log)
    agent.api = build_api(agent, schedule, cloud, state_folder, disk, random, clock, telemetry, log.part("api"))
    if forwarder is not None:
        agent.relay = build_relay(
            agent, forwarder, rounds.spool, folder, environment, clock, telemetry, log.part("relay")
        )
    elif settings.relay is not None:
        log.warning("no relay: it delivers to a server, and the settings say that there is none")
    return agent


def build_rounds(
    settings: AgentSettings,
    encoder: PushEncoder,
    accounting: Accounting,
    state_folder: Path,
    disk: Disk,
    clock: Clock,
    log: Logger,
) -> RoundSpool:
    """What waits for the server, on disk; not open yet."""
    limits = spool_limits(settings.spool)
    spool = Spool(state_folder / SPOOL_FOLDER, limits, disk, clock, log, on_drop=accounting.drop)
    return RoundSpool(spool, encoder, accounting, clock, SetAside(state_folder / FOLDER, disk, clock, log))


def build_exporter(
    settings: AgentSettings, schedule: Schedule, clock: Clock, telemetry: Telemetry, log: Logger
) -> Listener[ExporterSettings]:
    """The listener of `/metrics`, which may be switched on later."""

    def open_exporter(own: ExporterSettings) -> HttpServer:
        policy = HttpPolicy(web_config_file=own.web_config_file)
        routes = Exporter(schedule, telemetry).routes()
        return HttpServer("agent.exporter", own.address, routes, policy, clock, telemetry, log)

    return Listener("agent.exporter", settings.exporter, open_exporter, clock, log)


def build_statsd(
    settings: AgentSettings,
    identity: Identity,
    link: ServerLink,
    folder: Path,
    state_folder: Path,
    disk: Disk,
    clock: Clock,
    random: Random,
    telemetry: Telemetry,
    log: Logger,
) -> StatsdPart:
    """The listeners of StatsD, which may be wanted later. Raises InputError where the mapping rules cannot be used."""

    def build(wanted: AgentSettings) -> "tuple[Statsd, HappeningDelivery | None]":
        from nunchi.agent.forwarder.happenings import SPOOL_LIMITS, HappeningDelivery
        from nunchi.agent.statsd.statsd import Statsd

        assert wanted.statsd is not None
        statsd = Statsd(wanted.statsd, wanted.interval.seconds, clock, random, telemetry, log, folder)
        if not wanted.server.enabled:
            return statsd, None
        counts = statsd.telemetry
        spool = Spool(
            state_folder / HAPPENINGS_FOLDER, SPOOL_LIMITS, disk, clock, log,
            on_drop=lambda reason, count: counts.dropped.add(count, reason),
        )  # fmt: skip
        return statsd, HappeningDelivery(statsd.happenings, spool, link, identity, clock, random, counts, log)

    return StatsdPart(build, settings)


def build_packs(
    delivery: Delivery,
    link: HttpLink,
    encoder: PushEncoder,
    identity: Identity,
    clock: Clock,
    random: Random,
    disk: Disk,
    telemetry: Telemetry,
    log: Logger,
    folder: Path,
) -> PackSwitch:
    """Rounds over UDP, which may be wanted later."""
    counts: list[UdpTelemetry] = []  # made with the first sender

    def build(settings: UdpSettings) -> FastWay:
        from nunchi.agent.udp_sender import PackWay, UdpSender, UdpTelemetry
        from nunchi.agent.udp_wire import UdpWire
        from nunchi.wire.errors import WireError
        from nunchi.wire.pack_seal import PackMode, check_mode, pack_key

        def key() -> bytes:
            try:
                listed = read_key(settings, folder, disk)
            except InputError as error:
                raise WireError(str(error)) from error
            text = listed.reveal() or link.key.reveal()
            return pack_key(text) if text else b""

        mode = PackMode(settings.mode)
        check_mode(mode)
        read_key(settings, folder, disk)
        if not counts:
            counts.append(UdpTelemetry(telemetry))
        wire = UdpWire(ListenAddress.parse(settings.address))
        sender = UdpSender(
            wire, key, mode, settings.datagram_bytes, settings.timeout.seconds, identity, clock, random, counts[0], log
        )
        return PackWay(sender, encoder)

    return PackSwitch(delivery, build)


def build_scouter(
    settings: AgentSettings, forwarder: Forwarder | None, identity: Identity, telemetry: Telemetry, log: Logger
) -> "ScouterSender | None":
    """What sends rounds as Scouter packs too, where that is wanted."""
    if settings.scouter is None:
        return None
    from nunchi.agent.scouter_sender import ScouterSender
    from nunchi.agent.udp_wire import UdpWire

    wire = UdpWire(ListenAddress.parse(settings.scouter.address))
    return ScouterSender(settings.scouter, wire, forwarder, identity, settings.labels, telemetry, log)


def read_key(settings: UdpSettings, folder: Path, disk: Disk) -> Secret:
    """The key of packs that the settings name, empty where they name none. Raises InputError."""
    if not settings.key_file:
        return settings.key
    try:
        return Secret(disk.read(folder / settings.key_file).decode(errors="replace").strip())
    except DiskError as error:
        raise InputError(f"udp: the key file cannot be read: {error}") from error


def build_clippers(
    settings: CloudSettings,
    identity: Identity,
    labels: Mapping[str, str],
    forwarder: Forwarder,
    link: ServerLink,
    folder: Path,
    state_folder: Path,
    disk: Disk,
    clock: Clock,
    random: Random,
    telemetry: Telemetry,
    log: Logger,
) -> "Cloud":
    """What watches cloud accounts."""
    from nunchi.agent.clippers import build_providers
    from nunchi.agent.cloud.wiring import CloudWorld, build_cloud

    world = CloudWorld(
        identity, labels, forwarder, link, folder, state_folder, disk, clock, random, telemetry, log
    )  # fmt: skip
    return build_cloud(settings, build_providers, world)


def build_api(
    agent: Agent,
    schedule: Schedule,
    cloud: "Cloud | None",
    state_folder: Path,
    disk: Disk,
    random: Random,
    clock: Clock,
    telemetry: Telemetry,
    log: Logger,
) -> Listener[ApiSettings]:
    """The API's listener; where its token cannot be kept, nobody could use it, so it does not listen."""
    settings = agent.configuration.settings.api
    changes = SettingsApi(lambda: agent.configuration.settings, agent.reload, state_folder, disk)
    others = [*changes.routes(), *(cloud.api.routes() if cloud is not None else ())]
    refused = telemetry.counter("agent_api_refused_total", "Requests to the API without the token.")

    def open_api(own: ApiSettings) -> HttpServer:
        token = load_token(state_folder, disk, random)
        routes = AgentApi(token, agent.status, agent.reload, schedule, telemetry, refused, others).routes()
        policy = HttpPolicy(web_config_file=own.web_config_file)
        return HttpServer("agent.api", own.address, routes, policy, clock, telemetry, log)

    def note_url(url: str) -> None:
        try:
            disk.write_atomically(state_folder / URL_FILE, f"{url}\n".encode())
        except DiskError as error:
            log.warning("the API's address cannot be kept", error=error)

    return Listener("agent.api", settings if settings.enabled else None, open_api, clock, log, note_url)


def build_relay(
    agent: Agent,
    forwarder: Forwarder,
    spool: Spool,
    folder: Path,
    environment: Mapping[str, str],
    clock: Clock,
    telemetry: Telemetry,
    log: Logger,
) -> Listener[RelaySettings]:
    """The listener for others' samples, which may be switched on later."""

    def settings() -> AgentSettings:
        return agent.configuration.settings

    counts: list[RelayTelemetry] = []  # made with the first listener

    def open_relay(own: RelaySettings) -> HttpServer:
        from nunchi.agent.relay.telemetry import RelayTelemetry
        from nunchi.agent.relay.wiring import RelayServer, RelayWorld

        if not counts:
            counts.append(RelayTelemetry(telemetry))
        world = RelayWorld(
            lambda: settings().labels, lambda: settings().server, forwarder, spool, folder, environment,
            clock, telemetry, counts[0], log,
        )  # fmt: skip
        return RelayServer(own, world)

    return Listener("agent.relay", settings().relay, open_relay, clock, log)


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
