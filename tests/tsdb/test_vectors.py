"""A few timestamp vectors are looked at one by one and kept, many are decoded together: both tell the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.tsdb import vectors as module
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

NOW_MS = 1_000_000_000
SERIES = 6


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ChunksFile]:
    """A run of series of which each has timestamps of its own."""
    made = Database(
        tmp_path / "data", SystemDisk(), VirtualClock(NOW_MS / 1000), DatabaseTelemetry(Telemetry()), logger("tsdb")
    )
    made.open()
    for number in range(SERIES):
        times = range(NOW_MS - 60_000, NOW_MS, 1000 + 333 * number)
        append(made, {Labels.of("m", n=str(number)): [(at_ms, 1.0) for at_ms in times]})
    made.seal()
    (run,) = made._state.sealed.runs
    yield run
    made.abandon()


@pytest.mark.parametrize("start_ms", [NOW_MS - 90_000, NOW_MS - 30_000, NOW_MS - 29_500, NOW_MS - 1])
@pytest.mark.parametrize("size_ms", [0, 500, 12_345, 200_000])
def test_rows_and_times_are_the_same_either_way(
    file: ChunksFile, monkeypatch: pytest.MonkeyPatch, start_ms: int, size_ms: int
):
    refs = np.arange(SERIES, dtype=np.int32)

    def read() -> list[list[int]]:
        parts = file.find(refs, start_ms, start_ms + size_ms)
        counts = parts.ends - parts.begins
        times = np.zeros(int(counts.sum()), np.int64)
        file.decode_times(parts.vectors, parts.begins, parts.ends, np.cumsum(counts) - counts, times)
        bounds = (parts.series, parts.begins, parts.ends, parts.first_times, parts.last_times)
        return [array.tolist() for array in (*bounds, times)]

    one_by_one = read(), read()
    monkeypatch.setattr(module, "FEW_MAX", -1)
    assert one_by_one == (read(), read())
