"""The agent's configuration file as typed settings. Every field has a default that watches this host and delivers to loopback.

Invariant: each check's own settings are declared beside the check; the registry is what puts them together here.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from nunchi.agent.bus_settings import AgentBusSettings
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.checks import CHECKS
from nunchi.agent.clipper_settings import CloudSettings
from nunchi.agent.listener_settings import ListenerSettings
from nunchi.agent.log_settings import LogSettings
from nunchi.agent.relay_settings import RelaySettings
from nunchi.agent.scouter_settings import ScouterSettings
from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.udp_sender_settings import UdpSettings
from nunchi.kit.durations import Duration
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.settings import FieldError, load

INTERVAL_MS_MIN = 100
DEADLINE_SECONDS_MAX = 5.0
SPOOL_BYTES_MIN = 64 << 10
STATE_FOLDER = "/var/lib/nunchi-agent"

if TYPE_CHECKING:
    ChecksSettings = Any
else:
    ChecksSettings = msgspec.defstruct(
        "ChecksSettings",
        [(check.name, check.settings_type, check.settings_type(enabled=check.is_default)) for check in CHECKS],
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
        module=__name__,
    )
    ChecksSettings.__doc__ = "One field a check, by its name; what is not mentioned runs with its defaults."


class ServerSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where rounds are delivered, and how to connect: Prometheus's `http_config` fields stand beside these.

    With `bus` rounds go over it; what else the agent and its server tell each other goes to `url` as before.
    """

    enabled: bool = True
    url: str = "http://127.0.0.1:9190"
    timeout: Duration = Duration(10_000)
    bus: AgentBusSettings | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url.startswith(("http://", "https://")):
            raise FieldError("write the server's address in full, as in https://host:9190", "url")


class SpoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What waits while the server cannot be reached; beyond these bounds the oldest is dropped and counted."""

    bytes_max: int = 64 << 20
    age_max: Duration = Duration(24 * 3_600_000)

    def __post_init__(self) -> None:
        if self.bytes_max < SPOOL_BYTES_MIN:
            raise FieldError(f"{SPOOL_BYTES_MIN} is the least: below it not many rounds fit", "bytes_max")


class ExporterSettings(ListenerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`/metrics` for who would rather scrape."""

    address: str = "127.0.0.1:9100"


class ApiSettings(ListenerSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The agent's own API, for `nunchi agent status` and other local programs that may read its token."""

    enabled: bool = True
    address: str = "127.0.0.1:9191"


class PathSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the host is seen; other than these in a container that watches its host."""

    proc: str = "/proc"
    sys: str = "/sys"
    rootfs: str = "/"
    udev: str = "/run/udev/data"


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `exporter`, `udp`, `scouter`, `statsd`, `relay` and `cloud` are off unless set.

    For `burst` after the start every check runs each second.
    `labels` are added to every series; `tags` describe the host in the server's list of agents and nothing else.
    """

    name: str = ""
    labels: dict[str, str] = {}
    tags: list[str] = []
    interval: Duration = Duration(10_000)
    deadline: Duration = Duration(0)
    burst: Duration = Duration(0)
    server: ServerSettings = ServerSettings()
    exporter: ExporterSettings | None = None
    api: ApiSettings = ApiSettings()
    spool: SpoolSettings = SpoolSettings()
    log: LogSettings = LogSettings()
    udp: UdpSettings | None = None
    scouter: ScouterSettings | None = None
    statsd: StatsdSettings | None = None
    relay: RelaySettings | None = None
    cloud: CloudSettings | None = None
    paths: PathSettings = PathSettings()
    state_folder: str = STATE_FOLDER
    checks: ChecksSettings = ChecksSettings()

    def __post_init__(self) -> None:
        if self.interval.ms < INTERVAL_MS_MIN:
            raise FieldError(f"{INTERVAL_MS_MIN}ms is the shortest interval", "interval")
        for label in self.labels:
            if label in {"job", "instance", "__name__"}:
                raise FieldError(
                    f'"{label}" says who a series is and cannot be set for all: choose another name', "labels"
                )

    def check_settings(self) -> list[tuple[str, CheckSettings]]:
        """Name and settings of every enabled check."""
        found = [(check.name, getattr(self.checks, check.name)) for check in CHECKS]
        return [(name, settings) for name, settings in found if settings.enabled]

    def interval_seconds(self, check: CheckSettings) -> float:
        """How often a check runs."""
        return (check.interval or self.interval).seconds

    def deadline_seconds(self, check: CheckSettings) -> float:
        """How long a run may take: what is set, else 5 s, and never longer than the interval."""
        wanted = (check.deadline or self.deadline).seconds or DEADLINE_SECONDS_MAX
        return min(wanted, self.interval_seconds(check))


def parse_agent_settings(text: str, path: str) -> AgentSettings:
    """The settings in a text; `path` is for error messages."""
    return load(AgentSettings, text, path)
