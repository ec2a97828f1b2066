"""The part that loads a database, calls `Database.maintain` again and again, in a thread, and closes it at the end.

Invariant: a round that fails is named and tried again; it never takes appends or queries down with it.
"""

import asyncio

from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import Logger
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

ROUND_SECONDS = 1.0
PROGRESS_SECONDS = 5.0
FAILED_ROUND_SECONDS = 10.0


class Maintenance:
    """Implements `kit.supervision.Part`."""

    name = "tsdb"

    def __init__(self, database: Database, clock: Clock, telemetry: DatabaseTelemetry, log: Logger) -> None:
        self._database = database
        self._clock = clock
        self._telemetry = telemetry
        self._log = log

    async def start(self) -> None:
        """Nothing to take: the database has its folder already."""

    async def load(self) -> None:
        """Load what is in the folder, telling how far that is. Raises a `WorldError` where it cannot be loaded."""
        began = self._clock.monotonic()
        loading = asyncio.create_task(asyncio.to_thread(self._database.load))
        try:
            while not loading.done():
                await self._first_of(loading, PROGRESS_SECONDS)
                if not loading.done():
                    self._log.info(self._database.progress(), seconds=round(self._clock.monotonic() - began, 1))
            await loading
        except asyncio.CancelledError:
            self._database.give_up()
            await asyncio.wait((loading,))
            raise
        self._database.finish()
        self._log.info("what is stored is loaded", seconds=round(self._clock.monotonic() - began, 1))

    async def _first_of(self, loading: asyncio.Task[None], seconds: float) -> None:
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait((loading, pause), return_when=asyncio.FIRST_COMPLETED)
        pause.cancel()

    async def run(self) -> None:
        """Rounds until cancelled; a round that has begun is finished first."""
        while True:
            pause = ROUND_SECONDS
            try:
                await asyncio.shield(asyncio.to_thread(self._database.maintain))
            except WorldError as error:
                self._telemetry.maintenance_failed.add()
                self._log.error("maintenance failed, it will be tried again", error=error)
                pause = FAILED_ROUND_SECONDS
            await self._clock.sleep(pause)

    async def stop(self) -> None:
        """Closing is up to whoever opened the database, once nobody appends any more."""

    async def close(self) -> None:
        """Seal what is open and let go of the folder."""
        try:
            await asyncio.to_thread(self._database.close)
        except WorldError as error:
            self._log.error("the head was not sealed; the log has it", error=error)
