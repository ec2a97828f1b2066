"""The contract of clippers holds for a provider that knows nothing of AWS: its job, its states, its failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.agent.clippers.clipping import IDENTITY, DirectRunner, Sink

from nunchi.agent.clipper import Clipper, ClipperKey, Definition
from nunchi.agent.clipper_settings import CloudSettings
from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.cloud.exchange import Resource
from nunchi.agent.cloud.samples import CloudSeries
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.agent.cloud.wiring import Cloud, CloudWorld, build_cloud
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock
from nunchi.wire.cloud_configuration import CloudConfiguration, parse_cloud_configuration


@dataclass(frozen=True)
class Site:
    """A definition: a laboratory's building, watched by `version`."""

    name: str
    version: int

    @property
    def place(self) -> tuple[str, str, str]:
        return "laboratory", "house", self.name


class Thermometers(Clipper):
    """Reads every ten seconds; the cellar cannot be read."""

    def __init__(self, site: Site, around: Surroundings, closed: list[Site]) -> None:
        self.key = ClipperKey("laboratory", "house", site.name, "metrics")
        self._site, self._around, self._closed = site, around, closed
        self._due_at = around.clock.monotonic()

    def due_at(self) -> float:
        return self._due_at

    async def clip(self) -> Sequence[str]:
        self._due_at += 10
        if self._site.name == "cellar":
            raise CloudError(Kind.UNREACHABLE, "the cellar is locked")
        series = CloudSeries("laboratory_celsius", (("site", self._site.name),))
        self._around.writer.put("laboratory", [(series, [(self._around.clock.now_ms(), 20.5)])], replaces=True)
        self._around.put_inventory(self.key, [Resource("t-1", "Thermometer", self._site.name)])
        return ()

    async def close(self) -> None:
        self._closed.append(self._site)


class Laboratory:
    """Implements `Provider`."""

    name = "laboratory"

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.version = 1
        self.closed: list[Site] = []

    def apply(self, settings: CloudSettings) -> None:
        self.version = settings.threads_max

    def definitions(self, configuration: CloudConfiguration) -> list[Definition]:
        return [Site("attic", self.version), Site("cellar", 1)]

    def build(self, definition: Definition) -> list[Clipper]:
        assert isinstance(definition, Site)
        return [Thermometers(definition, self._around, self.closed)]

    async def check_credentials(self, account: str, credentials: str, role_arn: str, external_id: str) -> Sequence[str]:
        return ["attic", "cellar"]


def states(cloud: Cloud) -> dict[str, Any]:
    return {one["region"]: one["state"] for one in cloud.manager.status()}


async def test_another_provider_is_watched_beside_its_failures_and_replaced_by_difference(tmp_path: Path) -> None:
    clock, sink, made = VirtualClock(), Sink(), list[Laboratory]()
    world = CloudWorld(
        identity=IDENTITY, labels={}, sink=sink, link=None, folder=tmp_path, state_folder=tmp_path, disk=SystemDisk(),
        clock=clock, random=Random(1), telemetry=Telemetry(), log=logger("test"),
    )  # fmt: skip

    def build(_: CloudSettings, around: Surroundings) -> list[Laboratory]:
        made.append(Laboratory(around))
        return made

    cloud = build_cloud(CloudSettings(), build, world, DirectRunner())
    await cloud.manager.apply(parse_cloud_configuration("{}", "test"))
    await clock.advance(30, settle_rounds=20)
    assert states(cloud) == {"attic": "running", "cellar": "failing"}
    [text] = sink.stored
    assert text.startswith("laboratory_celsius{")
    assert 'job="laboratory"' in text
    assert len(sink.stored[text]) >= 3
    await cloud.apply(CloudSettings(threads_max=2), {})
    assert made[0].closed == [Site("attic", 1)], "what changed is stopped first, and nothing else"
    await clock.advance(1, settle_rounds=20)
    assert states(cloud) == {"attic": "running", "cellar": "failing"}
    await cloud.manager.stop()
