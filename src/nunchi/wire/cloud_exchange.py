"""What agents and server say to each other about clouds, as JSON: the configuration one way, state and inventory the other.

Invariant: both sides read these structs; whatever else a message has is passed over, so that either may be newer.
"""

import msgspec

CONFIGURATION_PATH = "/api/nunchi/v1/agents/cloud/configuration"
REPORT_PATH = "/api/nunchi/v1/agents/cloud/report"
RESOURCES_PATH = "/api/nunchi/v1/agents/cloud/resources"
WAIT_SECONDS_MAX = 25.0  # so long a server holds back that nothing has changed; proxies give up after 30 or 60
RESOURCES_MAX = 60_000  # of one message
CLIPPERS_MAX = 2_000


class HandedConfiguration(msgspec.Struct, frozen=True):
    """The configuration that an agent is to obey; `version` is what it says the next time.

    An empty `text`: there is none for it.
    """

    version: str
    text: str


class ClipperReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one clipper fares. A place whose account cannot be watched has an empty `kind`."""

    provider: str
    account: str
    region: str
    kind: str
    state: str
    messages: list[str] = []
    rounds: int = 0
    failures: int = 0
    last_round_ms: int = 0
    last_success_ms: int = 0


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has cost since the agent started: calls and metrics requested, by region and API."""

    account: str
    region: str
    api: str
    calls: int = 0
    failed_calls: int = 0
    metrics_requested: int = 0


class CloudReport(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's clippers."""

    agent: str
    name: str
    state: str
    version: str = ""
    origin: str = ""
    error: str = ""
    clippers: list[ClipperReport] = []
    costs: list[CostReport] = []


class ResourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One resource."""

    id: str
    namespace: str
    name: str
    tags: dict[str, str] = {}
    attributes: dict[str, str] = {}


class ResourcesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole inventory of one account in one region; it takes the place of the one before."""

    agent: str
    name: str
    provider: str
    account: str
    region: str
    resources: list[ResourceReport] = []
