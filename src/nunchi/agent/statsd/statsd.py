"""The part that listens for StatsD, and the check through which its series go out with the rounds.

Invariant: whatever arrives, the part goes on; what the kernel dropped because nobody read in time is counted like every loss.
"""

import asyncio
import random
import socket
from pathlib import Path
from typing import ClassVar

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.statsd.aggregation import StatsdAggregation
from nunchi.agent.statsd.mapping import Mapping
from nunchi.agent.statsd.settings import MappingSettings, StatsdSettings
from nunchi.agent.statsd.streams import FrameStream, LineStream, Streams
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.datagram import (
    DATAGRAM_BYTES_MAX,
    DATAGRAMS_MAX,
    DatagramBatch,
    DatagramListener,
    open_udp,
    open_unix,
    remove_dead_socket,
)
from nunchi.kit.listen_address import ListenAddress, bind
from nunchi.kit.logs import Logger
from nunchi.kit.settings import load_file
from nunchi.kit.telemetry import Telemetry

EXPIRE_SECONDS = 60.0


class StatsdCheck(Check):
    """Emits what was aggregated."""

    name = "statsd"
    job = "statsd"
    is_default: ClassVar[bool] = False

    def __init__(self, aggregation: StatsdAggregation) -> None:
        super().__init__(CheckSettings())
        self._aggregation = aggregation

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        self._aggregation.emit(context.emit)


class Statsd:
    """A `Part`. Listeners are opened by `run`, so that a port that is taken is tried again and stops nothing else."""

    name = "agent.statsd"

    def __init__(
        self,
        settings: StatsdSettings,
        interval_seconds: float,
        clock: Clock,
        source: random.Random,
        telemetry: Telemetry,
        log: Logger,
        folder: Path = Path(),
    ) -> None:
        """`interval_seconds` is that of the rounds. Raises MappingError or SettingsError where the rules cannot be used."""
        self._settings = settings
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._log = log
        self._telemetry = StatsdTelemetry(telemetry, clock, log)
        mapping_settings = load_mapping(settings, folder)
        mapping = Mapping(mapping_settings)
        self._window_seconds = window_step_seconds(mapping_settings)
        self.aggregation = StatsdAggregation(
            settings, mapping, source.getrandbits(64), clock, self._telemetry, self._window_seconds
        )
        self.check = StatsdCheck(self.aggregation)
        self._streams = Streams(settings.connections_max, clock, self._telemetry)
        self._listeners: list[DatagramListener] = []
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._told: dict[tuple[int, str], int] = {}
        self.is_listening = asyncio.Event()

    @property
    def udp_ports(self) -> list[int]:
        """The UDP ports bound."""
        return [listener.port for listener in self._listeners if listener.port]

    @property
    def tcp_ports(self) -> list[int]:
        """The TCP ports bound."""
        names = [one.getsockname() for server in self._servers for one in server.sockets]
        return [int(name[1]) for name in names if isinstance(name, tuple)]

    async def start(self) -> None:
        """Nothing to take: see the class."""

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            await self._open()
            self.is_listening.set()
            await self._keep_time()
        finally:
            self._close()

    async def stop(self) -> None:
        """Nothing to give back: `run` has closed what it opened."""

    async def _open(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        mode, buffer_bytes = int(settings.unix_mode, 8), settings.receive_buffer_bytes
        for text in settings.udp:
            opened = await open_udp(ListenAddress.parse(text), buffer_bytes, reuse_port=settings.reuse_port)
            self._listen(opened)
        for path in map(Path, settings.unix_datagram):
            self._listen(open_unix(path, mode, buffer_bytes))
            self._paths.append(path)
        for text in settings.tcp:
            for listening in await bind(ListenAddress.parse(text)):
                self._servers.append(
                    await loop.create_server(lambda: LineStream(self._streams, self.aggregation.take), sock=listening)
                )
        for path in map(Path, settings.unix_stream):
            remove_dead_socket(path, socket.SOCK_STREAM)
            self._servers.append(
                await loop.create_unix_server(lambda: FrameStream(self._streams, self.aggregation.take), str(path))
            )
            path.chmod(mode)
            self._paths.append(path)

    def _listen(self, opened: socket.socket) -> None:
        listener = DatagramListener(opened, self._take, DatagramBatch(DATAGRAMS_MAX, DATAGRAM_BYTES_MAX))
        listener.start()
        self._listeners.append(listener)

    def _take(self, batch: DatagramBatch) -> None:
        self.aggregation.take(batch.joined())

    async def _keep_time(self) -> None:
        now = self._clock.monotonic()
        sets_at, windows_at, expire_at = (
            now + self._interval_seconds,
            now + self._window_seconds,
            now + EXPIRE_SECONDS,
        )
        while True:
            await self._clock.sleep(min(sets_at, windows_at, expire_at) - self._clock.monotonic())
            now = self._clock.monotonic()
            self._count_losses()
            if now >= sets_at:
                self.aggregation.rotate_sets()
                sets_at = now + self._interval_seconds
            if now >= windows_at:
                self.aggregation.rotate_windows()
                windows_at = now + self._window_seconds
            if now >= expire_at:
                self.aggregation.expire()
                expire_at = now + EXPIRE_SECONDS

    def _count_losses(self) -> None:
        for number, listener in enumerate(self._listeners):
            for reason, count in (("kernel", listener.dropped), ("cut", listener.truncated)):
                known = self._told.get((number, reason), 0)
                if count > known:
                    self._telemetry.dropped.add(count - known, reason)
                    self._told[number, reason] = count

    def _close(self) -> None:
        self.is_listening.clear()
        for listener in self._listeners:
            listener.stop()
        self._count_losses()
        for server in self._servers:
            server.close()
        self._streams.abort_all()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._listeners, self._servers, self._paths, self._told = [], [], [], {}


def load_mapping(settings: StatsdSettings, folder: Path) -> MappingSettings:
    """The rules: those of the settings, or those of the file that the settings name."""
    if not settings.mapping_file:
        return settings.mapping
    return load_file(MappingSettings, folder / settings.mapping_file)


def window_step_seconds(settings: MappingSettings) -> float:
    """How often quantiles' windows move on: as the finest of the rules asks for."""
    options = [settings.defaults.summary_options]
    options += [rule.summary_options for rule in settings.mappings if rule.summary_options]
    return max(0.1, min(one.max_age.seconds / one.age_buckets for one in options))
