"""The agent's configuration file as typed settings. Every field has a default that watches this host and delivers to loopback.

Invariant: each check's own settings are declared beside the check; the registry is what puts them together here.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from nunchi.agent.bus_settings import AgentBusSettings
from nunchi.agent.check_settings import CheckSettings, check_fault, interval_fault, label_fault
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

DEADLINE_SECONDS_MAX = 5.0
SPOOL_BYTES_MIN = 64 << 10
SPOOL_AGE_MS_MIN = 1000
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


def server_fault(url: str) -> str:
    """Why this is no address of a server; empty where it is one."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or parts.query or parts.fragment or any(one.isspace() for one in url):
        return "write the server's address in full, as in https://host:9190"
    if parts.username is not None or parts.password is not None:
        return "write user and password into basic_auth: an address is shown in logs and in the status"
    return ""


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
        if fault := server_fault(self.url):
            raise FieldError(fault, "url")


class SpoolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What waits while the server cannot be reached; beyond these bounds the oldest is dropped and counted."""

    bytes_max: int = 64 << 20
    age_max: Duration = Duration(24 * 3_600_000)

    def __post_init__(self) -> None:
        if self.bytes_max < SPOOL_BYTES_MIN:
            raise FieldError(f"{SPOOL_BYTES_MIN} is the least: below it not many rounds fit", "bytes_max")
        if self.age_max.ms < SPOOL_AGE_MS_MIN:
            raise FieldError("1s is the least: what is older is dropped, whether the server has it or not", "age_max")


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
        if fault := interval_fault(self.interval):
            raise FieldError(fault, "interval")
        if fault := label_fault(self.labels):
            raise FieldError(fault, "labels")
        if "\0" in self.state_folder:
            raise FieldError("a path has no null characters", "state_folder")
        for check in CHECKS:
            if found := check_fault(getattr(self.checks, check.name)):
                raise FieldError(found[1], "checks", check.name, found[0])

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
