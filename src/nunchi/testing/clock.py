"""A clock that stands still until a test moves it. Sleepers wake in the order of their deadlines."""

import asyncio
import heapq
import itertools


class VirtualClock:
    """Implements `nunchi.kit.clock.Clock`; `advance` moves time and lets every sleeper run at its own deadline."""

    def __init__(self, now_seconds: float = 1_700_000_000.0) -> None:
        self._now = now_seconds
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return round(self._now * 1000)

    def monotonic(self) -> float:
        """Seconds that `advance` has passed; wall clock jumps do not show."""
        return self._monotonic

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP does; nobody wakes."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has advanced the clock by this much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float, settle_rounds: int = 20) -> None:
        """Pass time; between deadlines the loop runs `settle_rounds` times, so that woken tasks may sleep again."""
        end = self._monotonic + seconds
        await self._settle(settle_rounds)
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, future = heapq.heappop(self._sleepers)
            self._move_to(max(deadline, self._monotonic))
            if not future.done():
                future.set_result(None)
            await self._settle(settle_rounds)
        self._move_to(end)

    def _move_to(self, monotonic: float) -> None:
        self._now += monotonic - self._monotonic
        self._monotonic = monotonic

    @staticmethod
    async def _settle(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
