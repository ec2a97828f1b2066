"""A token bucket that learns: calls of one API wait their turn, and after a throttled one turns come at half the rate.

Invariant: no call is let through faster than the present rate and a burst of `burst` calls; the rate comes back step by step.
"""

from nunchi.kit.clock import Clock

RATE_SHARE_MIN = 1 / 16
RECOVERY_CALLS = 20  # successes until the full rate is back from half of it


class TokenBucket:
    """`rate` turns a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate_max = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock.monotonic()
        self.rate = rate

    async def wait_turn(self) -> None:
        """Return when it is this caller's turn; callers are served in the order in which they came."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self.rate) - 1
        self._filled_at = now
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / self.rate)

    def slow_down(self) -> None:
        """A call was throttled."""
        self.rate = max(self._rate_max * RATE_SHARE_MIN, self.rate / 2)
        self._tokens = min(self._tokens, 0)

    def speed_up(self) -> None:
        """A call was answered."""
        self.rate = min(self._rate_max, self.rate + self._rate_max / 2 / RECOVERY_CALLS)
