"""A whole agent: its parts in the order in which they start, and how other settings reach them while they run.

Invariant: `apply` checks everything that can be wrong before the first part hears of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nunchi.agent import status
from nunchi.agent.accounting import Accounting
from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.forwarder import Forwarder
from nunchi.agent.forwarder.spool import RoundSpool
from nunchi.agent.heartbeat import Heartbeat
from nunchi.agent.identity import Identity
from nunchi.agent.instances import Instances
from nunchi.agent.keys import KeyChange
from nunchi.agent.listener import Listener
from nunchi.agent.relay_settings import RelaySettings
from nunchi.agent.reloading import ReloadStatus, SettingsWatch
from nunchi.agent.remote_health import RemoteHealth
from nunchi.agent.root import Root
from nunchi.agent.rounds import Aggregation
from nunchi.agent.schedule import Schedule
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.agent.settings import AgentSettings, ApiSettings, ExporterSettings
from nunchi.agent.spool_limits import spool_limits
from nunchi.agent.statsd_part import StatsdPart
from nunchi.agent.udp_switch import PackSwitch
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Part, PartStatus
from nunchi.kit.telemetry import Telemetry

if TYPE_CHECKING:  # what only some settings need is imported by wiring, where they say so
    from nunchi.agent.cloud.wiring import Cloud
    from nunchi.agent.scouter_sender import ScouterSender

RESTART_SETTINGS = ("name", "burst", "paths", "state_folder", "scouter")


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What wiring puts together."""

    schedule: Schedule
    forwarder: Forwarder | None
    aggregation: Aggregation
    encoder: PushEncoder
    rounds: RoundSpool
    link: ServerLink
    own_link: HttpLink
    exporter: Listener[ExporterSettings]
    instances: Instances
    source: ConfigurationFolder | None
    root: Root
    keys: KeyChange
    statsd: StatsdPart
    packs: PackSwitch | None = None
    cloud: "Cloud | None" = None
    scouter: "ScouterSender | None" = None


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
        self._clock = clock
        self._started = ReloadStatus(clock.now_ms())
        self.parts_status: Callable[[], Sequence[PartStatus]] = tuple
        self.api: Listener[ApiSettings] | None = None
        self.relay: Listener[RelaySettings] | None = None
        self.heartbeat: Heartbeat | None = None
        self.remote_health: RemoteHealth | None = None
        if configuration.settings.server.enabled:
            self.heartbeat = Heartbeat(
                own.link, self.info, own.root, clock, telemetry, log.part("heartbeat"), own.keys.change
            )
            self.remote_health = RemoteHealth(own.link, clock, telemetry)
        self.watch: SettingsWatch | None = None
        if own.source is not None:
            self.watch = SettingsWatch(own.source, configuration, self.apply, clock, telemetry, log)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything that runs, in the order of the start."""
        own = self._own
        every = (
            own.forwarder, own.scouter, own.statsd, own.schedule, own.exporter, self.api, self.relay, self.heartbeat,
            self.remote_health, self.watch,
        )  # fmt: skip
        clouds = () if own.cloud is None else own.cloud.parts
        return (*(part for part in every if part is not None), *clouds)

    def info(self) -> dict[str, Any]:
        """AgentInfo: what the server is told with every heartbeat."""
        return {
            **status.identity_status(self.identity, self.configuration.settings),
            "now_ms": self._clock.now_ms(),
            "interval_ms": self._own.encoder.interval_ms,
            "settings_error": self._reload_status().error,
            "accounting": status.accounting_status(self.accounting),
            "outage_seconds_left": self._own.rounds.outage_seconds_left(),
            "checks": status.checks_summary(self._own.schedule.instances, self._clock),
        }

    def status(self) -> dict[str, Any]:
        """Everything that the API shows."""
        own, reload = self._own, self._reload_status()
        return {
            "agent": status.identity_status(self.identity, self.configuration.settings),
            "parts": [status.part_status(one) for one in self.parts_status()],
            "checks": [status.check_status(one, self._clock) for one in own.schedule.instances],
            "delivery": {
                "url": own.link.url if own.forwarder is None else own.forwarder.url,
                "last_error": "" if own.forwarder is None else own.forwarder.last_error,
                "accounting": status.accounting_status(self.accounting),
                "spool": status.spool_status(own.rounds.spool, own.rounds.outage_seconds_left()),
            },
            "server": {
                "last_error": "" if self.remote_health is None else self.remote_health.last_error,
                "outage_seconds": 0.0 if self.remote_health is None else self.remote_health.outage_seconds(),
                "heartbeat_error": "" if self.heartbeat is None else self.heartbeat.last_error,
            },
            "listeners": {
                **{
                    one.name: {"url": one.url, "last_error": one.last_error}
                    for one in (own.exporter, self.api, self.relay)
                    if one is not None
                },
                **{
                    f"{own.statsd.name}/{number}": {"url": "" if error else url, "last_error": error}
                    for number, (url, error) in enumerate(own.statsd.places(), 1)
                },
            },
            "cloud": None if own.cloud is None else own.cloud.api.status(),
            "settings": {
                "loaded_at_ms": reload.loaded_at_ms,
                "error": reload.error,
                "waiting_for_restart": list(reload.waiting_for_restart),
            },
        }

    def _reload_status(self) -> ReloadStatus:
        return self._started if self.watch is None else self.watch.status

    async def reload(self) -> None:
        """Read the settings again. Raises InputError where they are broken, and then the earlier ones are in force."""
        if self.watch is not None:
            await self.watch.reload()

    async def apply(self, configuration: AgentConfiguration) -> tuple[str, ...]:
        """Go on by other settings: what is not changed is left alone. Returns the settings that take a restart."""
        own, settings = self._own, configuration.settings
        change_statsd = own.statsd.plan(settings)
        change_packs = None if own.packs is None else own.packs.plan(settings.udp)
        planned = own.instances.plan(configuration.instances)
        await own.exporter.apply(settings.exporter)
        if self.api is not None:
            await self.api.apply(settings.api if settings.api.enabled else None)
        if self.relay is not None:
            await self.relay.apply(settings.relay)
        await change_statsd()
        if change_packs is not None:
            change_packs()
        own.instances.always = own.statsd.instances()
        own.schedule.apply(own.instances.take(planned))
        own.aggregation.apply(settings.labels)
        if own.cloud is not None and settings.cloud is not None:
            await own.cloud.apply(settings.cloud, settings.labels)
        own.rounds.spool.limits = spool_limits(settings.spool)
        await own.own_link.apply(settings.server)
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
    switches = [name for name in ("enabled", "bus") if getattr(first.server, name) != getattr(now.server, name)]
    changed += [f"server.{name}" for name in switches]
    if first.cloud is None or now.cloud is None:
        changed += ["cloud"] if first.cloud != now.cloud else []
    elif first.cloud.threads_max != now.cloud.threads_max:
        changed.append("cloud.threads_max")
    return tuple(changed)
