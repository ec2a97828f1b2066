"""A whole agent: its parts in the order in which they start, and how other settings reach them while they run.

Invariant: `apply` checks everything that can be wrong before the first part hears of it.
"""

from dataclasses import dataclass

from nunchi.agent.accounting import Accounting
from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.identity import Identity
from nunchi.agent.instances import Instances
from nunchi.agent.listener import Listener
from nunchi.agent.reloading import SettingsWatch
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Schedule
from nunchi.agent.server_link import HttpLink
from nunchi.agent.settings import AgentSettings
from nunchi.agent.spool_limits import spool_limits
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.spool import Spool
from nunchi.kit.supervision import Part
from nunchi.kit.telemetry import Telemetry

RESTART_SETTINGS = ("name", "burst", "paths", "state_folder")


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What wiring puts together."""

    schedule: Schedule
    forwarder: Forwarder | None
    aggregation: Aggregation
    encoder: PushEncoder
    spool: Spool
    link: HttpLink
    exporter: Listener
    instances: Instances
    source: ConfigurationFolder | None


class Agent:
    """Not started; `parts` says what to start."""

    def __init__(
        self,
        configuration: AgentConfiguration,
        identity: Identity,
        accounting: Accounting,
        own: AgentParts,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
    ) -> None:
        self.identity = identity
        self.accounting = accounting
        self.schedule = own.schedule
        self.exporter = own.exporter
        self._own = own
        self._first = configuration.settings
        self.configuration = configuration
        self._tell_interval()
        self.watch: SettingsWatch | None = None
        if own.source is not None:
            self.watch = SettingsWatch(own.source, configuration, self.apply, clock, telemetry, log)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything that runs, in the order of the start."""
        own = self._own
        return tuple(part for part in (own.forwarder, own.schedule, own.exporter, self.watch) if part is not None)

    async def reload(self) -> None:
        """Read the settings again. Raises InputError where they are broken, and then the earlier ones are in force."""
        if self.watch is not None:
            await self.watch.reload()

    async def apply(self, configuration: AgentConfiguration) -> tuple[str, ...]:
        """Go on by other settings: what is not changed is left alone. Returns the settings that take a restart."""
        own, settings = self._own, configuration.settings
        planned = own.instances.plan(configuration.instances)
        await own.exporter.apply(settings.exporter)
        own.schedule.apply(own.instances.take(planned))
        own.aggregation.apply(settings.labels)
        own.spool.limits = spool_limits(settings.spool)
        await own.link.apply(settings.server)
        self.configuration = configuration
        self._tell_interval()
        return changed_settings(self._first, settings)

    def _tell_interval(self) -> None:
        """Payloads carry the interval of the quickest check: the server misses a round by it."""
        seconds = [one.interval_seconds for one in self._own.schedule.instances]
        self._own.encoder.interval_ms = round(1000 * min(seconds, default=self.configuration.settings.interval.seconds))


def changed_settings(first: AgentSettings, now: AgentSettings) -> tuple[str, ...]:
    """Settings in force since the start that the files say differently now."""
    changed = [name for name in RESTART_SETTINGS if getattr(first, name) != getattr(now, name)]
    if first.server.enabled != now.server.enabled:
        changed.append("server.enabled")
    return tuple(changed)
