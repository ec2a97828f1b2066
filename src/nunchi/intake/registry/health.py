"""How an agent is, judged by its own rounds alone: healthy, late, unhealthy, and healthy again with the next round.

Invariant: only an agent's own rounds and its own silence move it; each round sets its misses to zero.
"""

import enum

LATE_INTERVALS = 1.5  # a round may be half an interval on its way


class HealthState(enum.Enum):
    """What is said of an agent."""

    NEW = "new"  # known, and never heard
    HEALTHY = "healthy"
    LATE = "late"  # a round is missing
    UNHEALTHY = "unhealthy"  # as many are missing as are allowed, or more
    DISABLED = "disabled"  # an operator does not want it heard


class Health:
    """The state machine of one agent; `misses` counts the intervals that passed without a round."""

    __slots__ = ("misses", "misses_max", "state")

    def __init__(self, misses_max: int) -> None:
        self.misses_max = misses_max
        self.misses = 0
        self.state = HealthState.NEW

    def hear(self) -> bool:
        """A round has come; whether that changes the state."""
        before, self.state, self.misses = self.state, HealthState.HEALTHY, 0
        return before is not self.state

    def wait(self, silent_intervals: float) -> bool:
        """So many intervals have passed since the latest round; whether that changes the state."""
        if self.state is HealthState.NEW:
            return False
        before = self.state
        self.misses = max(0, int(silent_intervals))
        if silent_intervals > self.misses_max:
            self.state = HealthState.UNHEALTHY
        elif silent_intervals > LATE_INTERVALS and self.state is HealthState.HEALTHY:
            self.state = HealthState.LATE
        return before is not self.state
