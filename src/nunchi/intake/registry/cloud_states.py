"""What agents tell of their clouds: how clippers fare, what they have cost, and the inventories, which are kept as records.

Invariant: of one place (provider, account, region) the newest inventory counts, whole; what cannot be kept is refused, so that
the agent tells it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from nunchi.intake.registry.errors import CloudConfigurationError
from nunchi.kit.clock import Clock
from nunchi.storage.records import BODY_BYTES_MAX, Records
from nunchi.wire.cloud_exchange import CLIPPERS_MAX, RESOURCES_MAX, CloudReport, ResourceReport, ResourcesReport

KIND = "cloud_resources"
REPORTS_MAX = 1000
PLACES_MAX = 10_000
PART_RESOURCES_MAX = 500
PART_BYTES_MAX = BODY_BYTES_MAX // 2
FORGOTTEN_SECONDS = 24 * 3600.0

Place = tuple[str, str, str]


class ResourcesPart(msgspec.Struct, frozen=True):
    """One record: some of a place's resources."""

    place: Place
    resources: list[ResourceReport]


@dataclass(frozen=True, slots=True)
class HeardReport:
    """The newest report of an agent, and when it was heard."""

    report: CloudReport
    at_ms: int


class CloudStates:
    """Open before use."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._reports: dict[str, HeardReport] = {}
        self._resources: dict[Place, list[ResourceReport]] = {}
        self._parts: dict[Place, int] = {}

    def open(self) -> None:
        """Read the inventories. Raises RecordsError."""
        for _, body in self._records.entities(KIND):
            part = msgspec.json.decode(body, type=ResourcesPart)
            self._resources.setdefault(part.place, []).extend(part.resources)
            self._parts[part.place] = self._parts.get(part.place, 0) + 1

    def take_report(self, report: CloudReport) -> None:
        """An agent tells how its clippers fare. Raises CloudConfigurationError where it tells too much."""
        if len(report.clippers) > CLIPPERS_MAX or len(report.costs) > 20 * CLIPPERS_MAX:
            raise CloudConfigurationError(f"more than {CLIPPERS_MAX} clippers are too many for one agent")
        now_ms = self._clock.now_ms()
        self._reports = {
            agent: heard
            for agent, heard in self._reports.items()
            if now_ms - heard.at_ms < FORGOTTEN_SECONDS * 1000 and agent != report.agent
        }
        if len(self._reports) >= REPORTS_MAX:
            raise CloudConfigurationError(f"{REPORTS_MAX} agents report of clouds already")
        self._reports[report.agent] = HeardReport(report, now_ms)

    def take_resources(self, report: ResourcesReport) -> None:
        """An inventory takes the place of the one before. Raises CloudConfigurationError, RecordsError."""
        place = report.provider, report.account, report.region
        if len(report.resources) > RESOURCES_MAX:
            raise CloudConfigurationError(f"more than {RESOURCES_MAX} resources are too many for one place")
        if place not in self._resources and len(self._resources) >= PLACES_MAX:
            raise CloudConfigurationError(f"there are {PLACES_MAX} inventories already")
        parts = 0
        for part in split(report.resources):
            self._records.put(KIND, f"{'/'.join(place)}/{parts:04}", msgspec.json.encode(ResourcesPart(place, part)))
            parts += 1
        for number in range(parts, self._parts.get(place, 0)):
            self._records.remove(KIND, f"{'/'.join(place)}/{number:04}")
        self._parts[place] = parts
        if report.resources:
            self._resources[place] = report.resources
        else:
            self._resources.pop(place, None)
            self._parts.pop(place, None)

    def reports(self) -> list[HeardReport]:
        """The newest report of each agent, by the agent's name."""
        return sorted(self._reports.values(), key=lambda heard: heard.report.name)

    def resources(self) -> Iterator[tuple[Place, ResourceReport]]:
        """Every resource with its place, in order."""
        for place, resources in sorted(self._resources.items()):
            for resource in resources:
                yield place, resource


def split(resources: list[ResourceReport]) -> Iterator[list[ResourceReport]]:
    """Parts that fit a record each."""
    part: list[ResourceReport] = []
    size = 0
    for resource in resources:
        own = len(msgspec.json.encode(resource))
        if part and (len(part) >= PART_RESOURCES_MAX or size + own > PART_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(resource)
        size += own
    if part:
        yield part
