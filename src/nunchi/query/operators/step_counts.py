"""How many samples each step of a query reads, counted where somebody asked for it.

What a subquery reads inside counts nowhere, its windows do; what is evaluated once for all steps counts at each of them.
Invariant: where nobody asked, nothing is counted and nothing is slower.
"""

import numpy as np
from numpy.typing import NDArray


class StepCounts:
    """One query's. `samples` is int64[steps]."""

    def __init__(self, steps: int) -> None:
        self.samples: NDArray[np.int64] = np.zeros(steps, np.int64)

    def add(self, samples: NDArray[np.int64]) -> None:
        """Count what one operator reads at each step; int64[1] stands for every step."""
        self.samples += samples
