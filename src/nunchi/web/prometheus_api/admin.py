"""`admin/tsdb/*`: delete samples, give back their room, copy the data folder.

Invariant: one request at a time works, in a thread; the HTTP server refuses all of them where the admin API is off.
"""

import asyncio
from datetime import UTC, datetime
from random import Random

from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Route
from nunchi.web.contracts import Administration
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import invalid_parameter
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN, Parameters
from nunchi.web.prometheus_api.selectors import read_selectors

BOOLEANS = {"", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}


class AdminEndpoints:
    """Endpoints that change what is stored."""

    def __init__(self, store: Administration, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._turn = asyncio.Lock()

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.admin("/api/v1/admin/tsdb/delete_series", self.delete_series),
            *envelope.admin("/api/v1/admin/tsdb/clean_tombstones", self.clean_tombstones),
            *envelope.admin("/api/v1/admin/tsdb/snapshot", self.snapshot),
        ]

    async def delete_series(self, parameters: Parameters) -> None:
        """Samples from `start` to `end`, both included, of the series that match any selector are no longer read."""
        selectors = read_selectors(parameters, needed=True)
        start_ms, end_ms = parameters.time_ms("start", TIME_MS_MIN), parameters.time_ms("end", TIME_MS_MAX)
        if start_ms > end_ms:
            return
        async with self._turn:
            for matchers in selectors:
                await asyncio.to_thread(self._store.delete_series, matchers, start_ms, end_ms)

    async def clean_tombstones(self, _: Parameters) -> None:
        """Give back the room of what was deleted."""
        async with self._turn:
            await asyncio.to_thread(self._store.clean_tombstones)

    async def snapshot(self, parameters: Parameters) -> Answer:
        """Copy everything; the name is that of a folder below `snapshots`. `skip_head` is read and leaves nothing out."""
        skip_head = parameters.text("skip_head")
        if skip_head not in BOOLEANS:
            raise invalid_parameter("skip_head", f'unable to parse boolean "{skip_head}"')
        moment = datetime.fromtimestamp(self._clock.now(), UTC)
        name = f"{moment:%Y%m%dT%H%M%SZ}-{self._random.getrandbits(64):016x}"
        async with self._turn:
            await asyncio.to_thread(self._store.snapshot, name)
        return Answer({"name": name})
