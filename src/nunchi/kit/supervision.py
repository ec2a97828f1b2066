"""Long-lived parts: start, run, stop; a part that fails is logged, restarted with backoff, and takes no other down.

Invariant: `Supervisor.stop` ends every task it started, in reverse order, within `stop_seconds_max` each.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from random import Random
from typing import Protocol

from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock
from nunchi.kit.errors import InvariantError
from nunchi.kit.logs import Logger

RESTART_INITIAL_SECONDS = 0.5
RESTART_SECONDS_MAX = 30.0


class Part(Protocol):
    """Something that lives as long as the process. `start` may fail; `run` returns only when done."""

    name: str

    async def start(self) -> None:
        """Take what is needed: ports, files, first state."""
        ...

    async def run(self) -> None:
        """Work until cancelled. Raising means failure: the supervisor restarts `run`."""
        ...

    async def stop(self) -> None:
        """Give back what `start` took; called once, after `run` has ended."""
        ...


@dataclass(slots=True)
class PartStatus:
    """What the supervisor knows of a part; times by the wall clock."""

    name: str
    state: str = "new"
    restarts: int = 0
    last_error: str = ""
    started_at: float = 0.0


class Supervisor:
    """Starts parts in the order given, keeps them running, stops them in reverse."""

    def __init__(self, clock: Clock, random: Random, log: Logger, stop_seconds_max: float = 1.5) -> None:
        self._clock = clock
        self._random = random
        self._log = log
        self._stop_seconds_max = stop_seconds_max
        self._running: list[tuple[Part, asyncio.Task[None], PartStatus]] = []

    async def start(self, part: Part) -> None:
        """Start one part; what its `start` raises goes to the caller, and the part is not kept."""
        status = PartStatus(part.name, state="starting", started_at=self._clock.now())
        await part.start()
        status.state = "running"
        task = asyncio.create_task(self._keep_running(part, status), name=part.name)
        self._running.append((part, task, status))

    async def stop(self) -> None:
        """Stop all parts, last started first; a part that does not stop in time is named and left."""
        while self._running:
            part, task, status = self._running.pop()
            status.state = "stopping"
            task.cancel()
            try:
                async with asyncio.timeout(self._stop_seconds_max):
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                    await part.stop()
            except TimeoutError:
                self._log.warning("part did not stop in time", part=part.name, seconds=self._stop_seconds_max)
            except Exception as error:
                self._log.error("part failed while stopping", part=part.name, error=error)
            status.state = "stopped"

    def statistics(self) -> list[PartStatus]:
        """One line per part, in the order of their start."""
        return [status for _, _, status in self._running]

    async def _keep_running(self, part: Part, status: PartStatus) -> None:
        backoff = Backoff(RESTART_INITIAL_SECONDS, RESTART_SECONDS_MAX, self._random)
        while True:
            began = self._clock.monotonic()
            try:
                await part.run()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                status.last_error = f"{type(error).__name__}: {error}"
                kind = "BUG: part failed" if isinstance(error, (InvariantError, AssertionError)) else "part failed"
                self._log.exception(kind, part=part.name, error=error)
            else:
                status.state = "done"
                return
            if self._clock.monotonic() - began > RESTART_SECONDS_MAX:
                backoff.reset()
            status.state = "restarting"
            await self._clock.sleep(backoff.next())
            status.restarts += 1
            status.state = "running"
