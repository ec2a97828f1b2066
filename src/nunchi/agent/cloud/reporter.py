"""Tells the server how the clippers fare, what they have cost, and what resources there are.

Invariant: a report that is not heard is told again; what waits is one state and one inventory a place, whatever happens.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from nunchi.agent.clipper import ClipperKey
from nunchi.agent.cloud.clip_manager import ClipManager
from nunchi.agent.cloud.configuration_source import ConfigurationSource
from nunchi.agent.cloud.exchange import Resource
from nunchi.agent.cloud.telemetry import CloudTelemetry
from nunchi.agent.identity import Identity
from nunchi.agent.server_link import ServerLink
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClientError
from nunchi.wire.cloud_exchange import (
    REPORT_PATH,
    RESOURCES_MAX,
    RESOURCES_PATH,
    ClipperReport,
    CloudReport,
    CostReport,
    ResourceReport,
    ResourcesReport,
)

INTERVAL_SECONDS = 15.0
AGAIN_SECONDS = 3600.0  # a server that lost its records has them again after so long
ANSWER_BYTES_MAX = 64 << 10


class Inventories:
    """The newest inventory of each place, and which of them the server has not heard."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Sequence[Resource]] = {}
        self.unheard: set[tuple[str, str, str]] = set()

    def put(self, key: ClipperKey, resources: Sequence[Resource]) -> None:
        """Take an inventory; an empty one says that the place is not watched any more."""
        place = key.provider, key.account, key.region
        self.known[place] = resources
        self.unheard.add(place)

    def again(self) -> None:
        """Tell everything once more; what is empty has been told."""
        self.known = {place: resources for place, resources in self.known.items() if resources or place in self.unheard}
        self.unheard.update(self.known)


class CloudReporter:
    """A part."""

    name = "agent.cloud.reporter"

    def __init__(
        self,
        manager: ClipManager,
        source: ConfigurationSource,
        inventories: Inventories,
        link: ServerLink,
        identity: Identity,
        telemetry: CloudTelemetry,
        clock: Clock,
    ) -> None:
        self._manager = manager
        self._source = source
        self._inventories = inventories
        self._link = link
        self._identity = identity
        self._telemetry = telemetry
        self._clock = clock
        self._again_at = clock.monotonic() + AGAIN_SECONDS
        self.last_error = ""

    async def start(self) -> None:
        """Nothing to take."""

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self.tell()
            await self._clock.sleep(INTERVAL_SECONDS)

    async def stop(self) -> None:
        """Nothing to give back."""

    async def tell(self) -> None:
        """Tell the state, and the inventories that the server has not heard."""
        if self._clock.monotonic() >= self._again_at:
            self._again_at += AGAIN_SECONDS
            self._inventories.again()
        if not await self._post(REPORT_PATH, self.report()):
            return
        for place in sorted(self._inventories.unheard):
            self._inventories.unheard.discard(place)
            if not await self._post(RESOURCES_PATH, self._resources(place)):
                self._inventories.unheard.add(place)
                return

    def report(self) -> CloudReport:
        """The state as it is now."""
        own, kept = self._identity, self._source.kept
        clippers = [msgspec.convert(one, ClipperReport) for one in self._manager.status()]
        return CloudReport(
            agent=own.id,
            name=own.name,
            state=self._manager.state,
            version=kept.version,
            origin=kept.origin,
            error=self._source.last_error,
            clippers=clippers,
            costs=self.costs(),
        )

    def costs(self) -> list[CostReport]:
        """Calls and metrics requested since the start."""
        found: dict[tuple[str, str, str], list[int]] = {}
        for _, labels, value in self._telemetry.calls.samples():
            account, region, api, outcome = (text for _, text in labels)
            numbers = found.setdefault((account, region, api), [0, 0, 0])
            numbers[0] += round(value)
            numbers[1] += 0 if outcome == "ok" else round(value)
        for _, labels, value in self._telemetry.metrics_requested.samples():
            account, region, api = (text for _, text in labels)
            found.setdefault((account, region, api), [0, 0, 0])[2] += round(value)
        return [
            CostReport(
                account=account, region=region, api=api, calls=calls, failed_calls=failed, metrics_requested=asked
            )
            for (account, region, api), (calls, failed, asked) in sorted(found.items())
        ]

    def _resources(self, place: tuple[str, str, str]) -> ResourcesReport:
        provider, account, region = place
        resources = [
            ResourceReport(
                id=one.id, namespace=one.namespace, name=one.name, tags=dict(one.tags), attributes=dict(one.attributes)
            )
            for one in self._inventories.known.get(place, ())[:RESOURCES_MAX]
        ]
        own = self._identity
        return ResourcesReport(
            agent=own.id, name=own.name, provider=provider, account=account, region=region, resources=resources
        )

    async def _post(self, path: str, content: Any) -> bool:
        body = msgspec.json.encode(content)
        try:
            response = await self._link.request("POST", path, body, "application/json", body_bytes_max=ANSWER_BYTES_MAX)
        except HttpClientError as error:
            self.last_error = str(error)
            return False
        if not 200 <= response.status < 300:
            self.last_error = f"{response.url} answers {response.status}"
            return False
        self.last_error = ""
        return True
