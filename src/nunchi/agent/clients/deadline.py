"""How long something may take altogether, however many steps it has."""

from nunchi.agent.errors import ServiceError
from nunchi.kit.clock import Clock


class Deadline:
    """A moment on a monotonic clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends_at = clock.monotonic() + seconds
        self.seconds = seconds

    def elapsed_seconds(self) -> float:
        """Since it was set."""
        return self._clock.monotonic() - self._ends_at + self.seconds

    def remaining_seconds(self, what: str = "the service") -> float:
        """More than 0; ServiceError where nothing remains."""
        remaining = self._ends_at - self._clock.monotonic()
        if remaining <= 0:
            raise ServiceError(f"{what}: no whole answer within {self.seconds:.3g} s")
        return remaining
