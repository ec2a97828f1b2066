"""Time as a parameter: the protocol everybody takes, and the real clock. `nunchi.testing.clock` has the virtual one.

Invariant: nothing outside this file asks the operating system what time it is.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for timestamps, monotonic time for durations, and waiting."""

    def now(self) -> float:
        """Seconds since the epoch, by the wall clock."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since the epoch, by the wall clock."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; zero and less yield once."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(max(0.0, seconds))
