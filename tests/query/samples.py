"""A store with some samples, for tests of the engine."""

import numpy as np

from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

SCRAPE_MS = 15_000
ROWS = 40
END_MS = (ROWS - 1) * SCRAPE_MS


def labels(number: int) -> Labels:
    return Labels.of("x_total", instance=f"i{number}", job=f"j{number % 2}")


def store(series: int = 4) -> MemoryStore:
    """Series `number` grows by `number` each scrape."""
    made = MemoryStore(VirtualClock(10_000.0))
    appender = made.appender()
    layout = Layout.of(*map(labels, range(series)))
    for row in range(ROWS):
        values = np.arange(series, dtype=np.float64) * row
        appender.append(Batch.row(layout, row * SCRAPE_MS, np.arange(series, dtype=np.int32), values))
    appender.commit()
    return made
