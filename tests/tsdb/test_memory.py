"""What lives long is allocated apart, what maintenance needs for a while does not stay, and dead series leave the head soon."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append, select
from nunchi.testing.disk import FaultyDisk
from nunchi.tsdb.block import MAPPED_SAMPLES_PER_SERIES, Block
from nunchi.tsdb.compaction import BLOCK_MS, GRACE_MS, LATE_COMPACTION_INTERVAL_MS
from nunchi.tsdb.database import Database
from nunchi.tsdb.kernels.labels import hash_keys
from nunchi.tsdb.memory import OWN_PAGES_BYTES_MIN, grown, roomy_zeros
from nunchi.tsdb.sealing import OPEN_AGE_MS_MAX
from nunchi.tsdb.telemetry import DatabaseTelemetry

UP, DOWN = Labels.of("up"), Labels.of("down")
MINUTE_MS = 60_000


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def open_database(clock: VirtualClock) -> Database:
    database = Database(Path("/data"), FaultyDisk(Random(7)), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    return database


def test_a_roomy_array_takes_memory_where_it_is_touched_and_gives_it_back_at_once() -> None:
    before, size = anonymous_bytes(), 64 << 20
    array = roomy_zeros(size // 8, np.int64)
    assert anonymous_bytes() - before < size // 4
    array[:] = 1
    assert anonymous_bytes() - before > size // 2
    del array
    assert anonymous_bytes() - before < size // 4


@pytest.mark.parametrize("count", [10, OWN_PAGES_BYTES_MIN])
def test_a_grown_array_begins_as_before_and_leaves_the_one_it_came_from(count: int) -> None:
    array = np.arange(count, dtype=np.int64).reshape(-1, 2)
    longer = grown(array, count, -1)
    assert longer.shape[0] >= count
    assert longer.shape[1:] == (2,)
    assert np.array_equal(longer[: len(array)], array)
    assert (longer[len(array) :] == -1).all()
    assert array.base is not longer.base
    assert grown(longer, 1) is longer


def test_compaction_leaves_the_pages_that_queries_need_where_they_are() -> None:
    clock = VirtualClock()
    database = open_database(clock)
    append(database, {UP: [(clock.now_ms() + k * 15_000, float(k)) for k in range(20)]})
    database.seal()
    select(database)
    kept = dict(database._state.cache._bodies)
    assert kept
    for _ in range(13):
        clock.jump(900)
        append(database, {UP: [(clock.now_ms(), 1.0)]})
        database.maintain()
    assert database._state.sealed.blocks
    assert dict(database._state.cache._bodies) == kept


def test_a_range_is_in_a_block_an_hour_after_its_end_however_little_is_open() -> None:
    clock = VirtualClock()
    database = open_database(clock)
    begin_ms = clock.now_ms() // BLOCK_MS * BLOCK_MS
    ended_ms = 0
    while not database._state.sealed.blocks:
        append(database, {UP: [(clock.now_ms(), 1.0)]})
        clock.jump(60)
        database.maintain()
        ended_ms = clock.now_ms()
    assert ended_ms - (begin_ms + BLOCK_MS + GRACE_MS) <= 2 * MINUTE_MS


def test_what_comes_hours_late_makes_neither_a_run_nor_a_compaction_each_round() -> None:
    clock = VirtualClock()
    database = open_database(clock)
    state = database._state
    for minute in range(10 * 60):
        append(database, {UP: [(clock.now_ms(), 1.0)]})
        append(database, {DOWN: [(clock.now_ms() - 12 * 60 * MINUTE_MS, float(minute))]})
        clock.jump(60)
        database.maintain()
    sealed = state.telemetry.runs_sealed.value()
    assert sealed <= 10 * 60 * MINUTE_MS / min(OPEN_AGE_MS_MAX, LATE_COMPACTION_INTERVAL_MS) + 10
    found = select(database)
    assert {labels: len(samples) for labels, samples in found.items()} == {UP: 10 * 60, DOWN: 10 * 60}


@pytest.mark.parametrize("count", [20, MAPPED_SAMPLES_PER_SERIES])
def test_a_block_that_stays_takes_no_memory_for_its_series(tmp_path: Path, count: int) -> None:
    clock = VirtualClock()
    database = Database(tmp_path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    begin_ms = clock.now_ms() // BLOCK_MS * BLOCK_MS - BLOCK_MS
    last_ms = {UP: begin_ms + 1000 * (count - 1), DOWN: begin_ms + 500 + count - 1}
    append(database, {UP: [(begin_ms + 1000 * k, float(k)) for k in range(count)]})
    append(database, {DOWN: [(begin_ms + 500 + k, 0.0) for k in range(count)]})
    clock.jump(3 * BLOCK_MS / 1000)
    append(database, {UP: [(clock.now_ms(), 0.0)]})
    database.maintain()
    (block,) = database._state.sealed.blocks
    copied = {name for name, array in arrays_of(block).items() if array.flags.writeable}
    assert bool(copied) == (count < MAPPED_SAMPLES_PER_SERIES), copied
    keys = [labels.key() for labels in (DOWN, Labels.of("nobody"), UP)]
    hashes = np.zeros((3, 2), np.uint64)
    ends = np.cumsum([0, *map(len, keys)])
    hash_keys(np.frombuffer(b"".join(keys), np.uint8), ends, hashes)
    assert block.newest_of(hashes).tolist() == [last_ms[DOWN], -(2**63), last_ms[UP]]
    database.close()


def arrays_of(block: Block) -> dict[str, NDArray[np.int64]]:
    """Those whose length grows with the series or their columns."""
    index, chunks = block.index, block.chunks
    found = {name: getattr(index, name) for name in index.__slots__} | vars(chunks) | vars(block)
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray) and array.size > 1}
