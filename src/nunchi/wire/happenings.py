"""Events and service checks on their way from agents to the server (docs/formats/happenings.md): one shape for both ends.

Invariant: they are numbered by their agent, events before service checks within a body, so that what comes twice is known.
"""

import msgspec

PATH = "/api/nunchi/v1/happenings"
HAPPENINGS_MAX = 100  # of one body
BODY_BYTES_MAX = 8 << 20
TEXT_CHARACTERS_MAX = 8192
TAGS_MAX = 100
STATES = ("ok", "warning", "critical", "unknown")

Tags = list[tuple[str, str]]


class EventReport(msgspec.Struct, frozen=True):
    """Something that happened, at a time of the sender's or of the agent's."""

    at_ms: int
    title: str
    text: str = ""
    host: str = ""
    aggregation_key: str = ""
    priority: str = "normal"
    source: str = ""
    alert_type: str = "info"
    tags: Tags = []


class ServiceCheckReport(msgspec.Struct, frozen=True):
    """How a service fares: `state` is a place in `STATES`."""

    at_ms: int
    name: str
    state: int
    host: str = ""
    message: str = ""
    tags: Tags = []


class Happenings(msgspec.Struct, frozen=True):
    """Some of one agent's, numbered from `first` since its start `epoch`."""

    agent: str
    name: str
    epoch: int
    first: int
    events: list[EventReport] = []
    service_checks: list[ServiceCheckReport] = []

    def __len__(self) -> int:
        return len(self.events) + len(self.service_checks)
