"""Reads the configuration again when its files change, for those who asked for that.

Invariant: what was found broken is not tried again until a file changes once more; the earlier configuration stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.kit.logs import Logger


class ConfigurationWatch:
    """A part: looks every interval.

    digest  of all files that a configuration is made of; reads them, and runs in a thread
    reload  takes them up; raises an `InputError`, having logged it, where they are broken
    """

    name = "configuration watch"

    def __init__(
        self,
        digest: Callable[[], bytes],
        reload: Callable[[], Awaitable[None]],
        interval_seconds: float,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._digest = digest
        self._reload = reload
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._log = log
        self._seen = b""

    async def start(self) -> None:
        """Take note of the files as they are."""
        self._seen = await asyncio.to_thread(self._digest)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(self._interval_seconds)
            await self.look()

    async def look(self) -> None:
        """Reload if a file has changed since the last look.

        A configuration that names other files than before is loaded once more at the next look, so that no change is missed.
        """
        found = await asyncio.to_thread(self._digest)
        if found == self._seen:
            return
        self._seen = found
        self._log.info("files of the configuration have changed")
        with suppress(InputError):  # logged by whoever reloads
            await self._reload()

    async def stop(self) -> None:
        """Nothing to give back."""
