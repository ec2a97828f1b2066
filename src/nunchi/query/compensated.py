"""Compensated summation (Kahan, Neumaier's variant), one number after the other: the order of addition is the caller's."""

import math


class Sum:
    """A running sum and what rounding took from it."""

    def __init__(self, value: float = 0.0) -> None:
        self.plain = value
        self.lost = 0.0

    def add(self, value: float) -> None:
        """Add one number."""
        total = self.plain + value
        if math.isinf(total):
            self.lost = 0.0
        elif abs(self.plain) >= abs(value):
            self.lost += (self.plain - total) + value
        else:
            self.lost += (value - total) + self.plain
        self.plain = total

    @property
    def value(self) -> float:
        """The sum."""
        return self.plain if math.isinf(self.plain) else self.plain + self.lost
