"""The part that listens for StatsD, and the check through which its series go out with the rounds.

Invariant: whatever arrives, the part goes on; what the kernel dropped because nobody read in time is counted like every loss.
Other settings change what they speak of and nothing else: series that they leave as they are keep what was counted.
"""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.statsd.aggregation import StatsdAggregation
from nunchi.agent.statsd.happenings import HappeningQueue
from nunchi.agent.statsd.listeners import Listeners
from nunchi.agent.statsd.mapping import Mapping
from nunchi.agent.statsd.settings import MappingSettings, StatsdSettings
from nunchi.agent.statsd.telemetry import StatsdTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.settings import load_file
from nunchi.kit.telemetry import Telemetry

EXPIRE_SECONDS = 60.0
RETRY_SECONDS = 10.0


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


@dataclass(frozen=True, slots=True)
class StatsdPlan:
    """Settings that were found to be right. `settings` None: listen nowhere."""

    settings: StatsdSettings | None
    mapping_settings: MappingSettings
    mapping: Mapping
    interval_seconds: float


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
        self._folder = folder
        self._clock = clock
        self._log = log
        self._plan = self.plan(settings, interval_seconds)
        self.telemetry = StatsdTelemetry(telemetry, clock, log)
        self.happenings = HappeningQueue(clock, self.telemetry)
        self.aggregation = StatsdAggregation(
            settings, self._plan.mapping, source.getrandbits(64), clock, self.telemetry,
            window_step_seconds(self._plan.mapping_settings), self.happenings,
        )  # fmt: skip
        self.check = StatsdCheck(self.aggregation)
        self._listeners = Listeners(self.aggregation.take, settings.connections_max, clock, self.telemetry, log)
        self._is_running = False
        self.is_listening = asyncio.Event()

    @property
    def udp_ports(self) -> list[int]:
        """The UDP ports bound."""
        return self._listeners.udp_ports

    @property
    def tcp_ports(self) -> list[int]:
        """The TCP ports bound."""
        return self._listeners.tcp_ports

    def places(self) -> list[tuple[str, str]]:
        """Where it listens, as URLs, and where it cannot: then with the reason."""
        return self._listeners.places()

    def plan(self, settings: StatsdSettings | None, interval_seconds: float) -> StatsdPlan:
        """What would hold by these settings; nothing has changed yet. Raises MappingError or SettingsError."""
        mapping = MappingSettings() if settings is None else load_mapping(settings, self._folder)
        return StatsdPlan(settings, mapping, Mapping(mapping), interval_seconds)

    async def apply(self, plan: StatsdPlan) -> None:
        """Go on by other settings."""
        before, self._plan = self._plan, plan
        if plan.settings is not None and (before.settings, before.mapping_settings) != (
            plan.settings,
            plan.mapping_settings,
        ):
            self.aggregation.apply(plan.settings, plan.mapping, window_step_seconds(plan.mapping_settings))
        if self._is_running:
            await self._listen()

    async def start(self) -> None:
        """Nothing to take: see the class."""

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            self._is_running = True
            await self._listen()
            await self._keep_time()
        finally:
            self._is_running = False
            self.is_listening.clear()
            self._listeners.close()

    async def stop(self) -> None:
        """Nothing to give back: `run` has closed what it opened."""

    async def _listen(self) -> None:
        if await self._listeners.apply(self._plan.settings):
            self.is_listening.set()
        else:
            self.is_listening.clear()

    async def _keep_time(self) -> None:
        sets_at = windows_at = expire_at = retry_at = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            self._listeners.count_losses()
            if now >= sets_at:
                self.aggregation.rotate_sets()
                sets_at = now + self._plan.interval_seconds
            if now >= windows_at:
                self.aggregation.rotate_windows()
                windows_at = now + self.aggregation.window_step_seconds
            if now >= expire_at:
                self.aggregation.expire()
                expire_at = now + EXPIRE_SECONDS
            if now >= retry_at:
                await self._listen()
                retry_at = now + RETRY_SECONDS
            await self._clock.sleep(min(sets_at, windows_at, expire_at, retry_at) - self._clock.monotonic())


def load_mapping(settings: StatsdSettings, folder: Path) -> MappingSettings:
    """The rules: those of the settings, or those of the file that the settings name."""
    if not settings.mapping_file:
        return settings.mapping
    return load_file(MappingSettings, folder / settings.mapping_file)


def window_step_seconds(settings: MappingSettings) -> float:
    """How often quantiles' windows move on: as the finest of the rules asks for."""
    defaults = settings.defaults.summary()
    options = [defaults, *(rule.summary_options.filled(defaults) for rule in settings.mappings)]
    return max(0.1, min(one.max_age.seconds / one.age_buckets for one in options))
