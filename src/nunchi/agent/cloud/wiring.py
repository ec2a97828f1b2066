"""Puts the cloud's parts together: from settings to clippers, their configuration and their reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nunchi.agent.clipper import Provider
from nunchi.agent.clipper_settings import CloudSettings
from nunchi.agent.cloud.calling import BlockingCalls
from nunchi.agent.cloud.clip_manager import ClipManager
from nunchi.agent.cloud.cloud_api import CloudApi
from nunchi.agent.cloud.configuration_source import FROM_SERVER, ConfigurationSource
from nunchi.agent.cloud.reporter import CloudReporter, Inventories
from nunchi.agent.cloud.samples import RoundsSink, SampleWriter
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.agent.cloud.telemetry import CloudTelemetry
from nunchi.agent.identity import Identity
from nunchi.agent.schedule import Runner
from nunchi.agent.server_link import ServerLink
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Part
from nunchi.kit.telemetry import Telemetry

BuildProviders = Callable[[CloudSettings, Surroundings], Sequence[Provider]]


@dataclass(frozen=True, slots=True)
class CloudWorld:
    """What the agent lends to its clippers. Without a `link` there is no server to ask or tell."""

    identity: Identity
    labels: Mapping[str, str]
    sink: RoundsSink
    link: ServerLink | None
    folder: Path
    state_folder: Path
    disk: Disk
    clock: Clock
    random: Random
    telemetry: Telemetry
    log: Logger


@dataclass(frozen=True, slots=True)
class Cloud:
    """The parts in their order, and what the API shows."""

    manager: ClipManager
    source: ConfigurationSource
    reporter: CloudReporter | None
    api: CloudApi
    writer: SampleWriter
    providers: Sequence[Provider]

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order of their start."""
        every: tuple[Part | None, ...] = (self.manager, self.source, self.reporter)
        return tuple(part for part in every if part is not None)

    async def apply(self, settings: CloudSettings, labels: Mapping[str, str]) -> None:
        """Go on by other settings: clippers whose credentials changed are stopped and begun anew, the others run on."""
        self.writer.labels = dict(labels)
        self.source.is_asking = settings.source == FROM_SERVER
        for provider in self.providers:
            provider.apply(settings)
        await self.manager.renew()


def build_cloud(
    settings: CloudSettings, build_providers: BuildProviders, world: CloudWorld, runner: Runner | None = None
) -> Cloud:
    """The cloud's parts, not started. `runner` runs blocking calls; without one threads do."""
    clock, log = world.clock, world.log
    telemetry = CloudTelemetry(world.telemetry)
    runner = runner or ThreadRunner(DaemonThreads("cloud", clock, settings.threads_max))
    inventories = Inventories()
    writer = SampleWriter(world.labels, world.sink)
    around = Surroundings(
        clock=clock,
        random=world.random,
        calls=BlockingCalls(runner, settings.threads_max, clock),
        writer=writer,
        telemetry=telemetry,
        log=log,
        folder=world.folder,
        put_inventory=inventories.put,
    )
    providers = build_providers(settings, around)
    manager = ClipManager(providers, telemetry, clock, log)
    source = ConfigurationSource(
        manager, world.link, world.identity, world.state_folder, world.disk, clock, world.random, log
    )
    source.is_asking = settings.source == FROM_SERVER
    reporter = None
    if world.link is not None:
        reporter = CloudReporter(manager, source, inventories, world.link, world.identity, telemetry, clock)
    return Cloud(manager, source, reporter, CloudApi(manager, source, reporter, providers), writer, providers)
