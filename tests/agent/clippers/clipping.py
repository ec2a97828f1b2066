"""Clippers on virtual time over real boto3 and real sockets: calls run at once in the test's own thread."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from nunchi.agent.clipper_settings import AwsCredentials, AwsSettings, CloudSettings
from nunchi.agent.clippers import build_providers
from nunchi.agent.cloud.wiring import Cloud, CloudWorld, build_cloud
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Round
from nunchi.agent.server_link import ServerLink
from nunchi.agent.threads import Call, settle
from nunchi.kit.disk import Disk
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock
from nunchi.wire.cloud_configuration import parse_cloud_configuration

NOW_S = 1_700_000_130
IDENTITY = Identity("a" * 32, "cloudy", (), "1", 1, 1)


class DirectRunner:
    """Calls run where they are asked for: what a thread would do, at no time."""

    def run(self, call: Call) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error: Exception | None = None
        try:
            call()
        except Exception as caught:
            error = caught
        settle(future, error)
        return future

    def close(self) -> None:
        """Nothing to close."""


class Sink:
    """What was handed on, as a store would have it: the last value of a time counts where a round replaces."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[int, float]] = {}
        self.live: dict[str, dict[int, float]] = {}
        self.samples = 0
        self.handed = 0

    def put_rounds(self, rounds: Sequence[Round]) -> None:
        self.handed += 1
        for one in rounds:
            self.samples += len(one)
            place = self.stored if one.replaces else self.live
            for column, value in zip(one.columns, one.values, strict=True):
                place.setdefault(str(one.layout.labels(column)), {})[one.timestamp_ms] = value

    def find(self, *parts: str) -> dict[int, float]:
        """The one series whose text has all these parts."""
        [found] = [samples for text, samples in self.stored.items() if all(part in text for part in parts)]
        return found


class Clipping:
    """A cloud of one test: `configure`, then `pass_time`."""

    def __init__(
        self, url: str, folder: Path, link: ServerLink | None = None, disk: Disk | None = None, key: str = "AKTEST"
    ) -> None:
        self.clock = VirtualClock(NOW_S)
        self.sink = Sink()
        self.telemetry = Telemetry()
        credentials = {"main": AwsCredentials(access_key_id=key, secret_access_key=Secret("s3cr3t"))}
        world = CloudWorld(
            identity=IDENTITY, labels={"site": "north"}, sink=self.sink, link=link, folder=folder, state_folder=folder,
            disk=disk or SystemDisk(), clock=self.clock, random=Random(1), telemetry=self.telemetry, log=logger("agent.cloud"),
        )  # fmt: skip
        settings = CloudSettings(aws=AwsSettings(credentials=credentials, endpoint_url=url))
        self.cloud: Cloud = build_cloud(settings, build_providers, world, DirectRunner())

    async def configure(self, text: str) -> None:
        await self.cloud.manager.apply(parse_cloud_configuration(text, "test"))

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds, settle_rounds=60)

    def status(self, kind: str, region: str = "eu-west-1") -> dict[str, Any]:
        [found] = [one for one in self.cloud.manager.status() if one["kind"] == kind and one["region"] == region]
        return found

    def count(self, name: str, **labels: str) -> float:
        """The sum of a counter over what has these labels."""
        instrument = self.telemetry.find(name)
        assert instrument is not None
        return sum(value for _, own, value in instrument.samples() if labels.items() <= dict(own).items())

    async def stop(self) -> None:
        await self.cloud.manager.stop()
