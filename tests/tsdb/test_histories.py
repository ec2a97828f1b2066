"""Random histories of the database, on a disk that fails, compared with the obvious store.

What is acknowledged is applied to both; a commit that a crash interrupted may be there or not, whole. Power loss comes with
every record synced, a killed process with any setting.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nunchi.kit.disk import DiskError
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch, Conflict
from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, STALE
from nunchi.storage.contracts import FUTURE_MS_MAX, Store
from nunchi.storage.memory import MemoryStore
from nunchi.storage.memory_series import Series
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import NAME_SET, append
from nunchi.testing.disk import UNBOUNDED, Crash, FaultyDisk
from nunchi.tsdb import dead_series
from nunchi.tsdb.compaction import BLOCK_MS, compact_head, merge_blocks
from nunchi.tsdb.database import Database
from nunchi.tsdb.dead_series import drop_dead_series
from nunchi.tsdb.retention import drop_expired
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

FOLDER = Path("/data")
SERIES = [Labels.of("m" if n % 3 else "other", n=str(n), job="j" * (n % 2)) for n in range(7)]
VALUES = st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e300, float("nan"), STALE])
COUNTS = st.sampled_from([0.0, 1.0, 3.0, 7.0, 1e17, 0.5])
HISTOGRAMS = st.one_of(
    st.builds(
        lambda schema, zero, counts, low, hint: Histogram(
            schema, sum(counts) + zero, 4.5, 0.01, zero, (BucketSpan(-1, 1), BucketSpan(2, 2)), counts,
            (BucketSpan(0, 1),), (low,), reset_hint=hint,
        ),
        st.sampled_from([0, 3]), COUNTS, st.tuples(COUNTS, COUNTS, COUNTS), COUNTS, st.sampled_from(ResetHint),
    ),
    st.builds(
        lambda counts, bounds: Histogram(
            CUSTOM_SCHEMA, sum(counts), 1.0, positive_spans=(BucketSpan(0, 2),), positive_buckets=counts,
            custom_values=bounds,
        ),
        st.tuples(COUNTS, COUNTS), st.sampled_from([(0.5, 1.0), (1.0, 2.0, 5.0)]),
    ),
    st.just(Histogram(sum=STALE)),
)  # fmt: skip
STARTS = st.sampled_from([0, 0, 0, 1_000, 1_700_000_000_000])
Cell = tuple[int, int, float | Histogram, int]
CELLS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(-40, 40), VALUES | HISTOGRAMS, STARTS), min_size=1, max_size=12
)
STEP_MS = 5 * 60 * 1000


def facts(store: Store, begin: int = -(2**62), end: int = 2**62) -> dict[str, list[tuple[object, ...]]]:
    """All that a store says of its samples in a range; of the first of a series no reset hint."""
    found: dict[str, list[tuple[object, ...]]] = {}
    querier = store.querier()
    selection = querier.select((NAME_SET,), begin, end)
    for tile in selection.read(0, len(selection.labels), 200):
        for i, series in enumerate(tile.series.tolist()):
            own = slice(int(tile.offsets[i]), int(tile.offsets[i + 1]))
            times = tile.vectors[tile.vector_offsets[tile.vector_of[i]] : tile.vector_offsets[tile.vector_of[i] + 1]]
            starts = [0] * len(times) if tile.starts is None else tile.starts[own].tolist()
            values = tile.values[own].view(np.uint64).tolist()
            numbers = [FLOAT] * len(times) if tile.histogram_of is None else tile.histogram_of[own].tolist()
            samples = found[str(selection.labels.labels(series))] = []
            for row in zip(times.tolist(), starts, values, numbers, strict=True):
                samples.append((*row[:3], histogram_facts(tile.histograms, row[3], hinted=bool(samples))))
    querier.close()
    return found


def histogram_facts(histograms: HistogramColumns | None, number: int, *, hinted: bool) -> object:
    if histograms is None or number == FLOAT:
        return None
    histogram, is_integer = histograms.histogram(number), bool(histograms.is_integer[number])
    return repr(histogram if hinted else replace(histogram, reset_hint=ResetHint.UNKNOWN)), is_integer


def delete_from(series: Series, begin: int, end: int) -> None:
    """What the obvious store does not offer: forget samples, both ends included."""
    for time in [time for time in series.timestamps if begin <= time <= end]:
        at = series.timestamps.index(time)
        del series.timestamps[at], series.values[at]
        series.rich.pop(time, None)


class DatabaseHistory(RuleBasedStateMachine):
    sync_always = True

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        dead_series.DEAD_SERIES_MIN = 1
        self.clock = VirtualClock()
        self.disk = FaultyDisk(Random(seed))
        self.oracle = MemoryStore(self.clock)
        self.layout = Layout.of(*SERIES)
        self.open_database()

    def open_database(self) -> None:
        keeping = DatabaseSettings(wal_sync_always=self.sync_always)
        self.database = Database(FOLDER, self.disk, self.clock, DatabaseTelemetry(Telemetry()), logger("tsdb"), keeping)
        self.database.open()

    def batch(self, cells: list[Cell], conflict: Conflict, late: float | None) -> Batch:
        now = self.clock.now_ms() // STEP_MS * STEP_MS
        times = np.array([now + step * STEP_MS // 4 for _, step, _, _ in cells], np.int64)
        histograms = [value for _, _, value, _ in cells if isinstance(value, Histogram)]
        is_histogram = np.array([isinstance(value, Histogram) for _, _, value, _ in cells], np.bool_)
        return Batch.cells(
            self.layout, times, np.array([n for n, _, _, _ in cells], np.int32),
            np.array([ABSENT if isinstance(value, Histogram) else value for _, _, value, _ in cells]),
            on_conflict=conflict, late_max_seconds=late,
            histogram_of=np.where(is_histogram, np.cumsum(is_histogram) - 1, FLOAT).astype(np.int32),
            histograms=HistogramColumns.of(histograms, [h.count.is_integer() for h in histograms]),
            starts=np.array([start for _, _, _, start in cells], np.int64),
        )  # fmt: skip

    @rule(
        cells=CELLS,
        conflict=st.sampled_from([Conflict.REJECT, Conflict.REJECT, Conflict.REPLACE]),
        late=st.sampled_from([None, None, 3600.0, 86400.0]),
    )
    def append(self, cells: list[Cell], conflict: Conflict, late: float | None) -> None:
        batch = self.batch(cells, conflict, late)
        ours, theirs = self.database.appender(), self.oracle.appender()
        result, wanted = ours.append(batch), theirs.append(batch)
        assert (result.accepted, result.rejected) == (wanted.accepted, wanted.rejected)
        ours.commit()
        theirs.commit()

    @rule(cells=CELLS)
    def roll_back(self, cells: list[Cell]) -> None:
        appender = self.database.appender()
        appender.append(self.batch(cells, Conflict.REJECT, 3600.0))
        appender.rollback()

    @rule(cells=CELLS)
    def append_to_a_full_disk(self, cells: list[Cell]) -> None:
        self.disk.bytes_max, self.disk.partial_append_share = 0, 0.3
        appender = self.database.appender()
        if appender.append(self.batch(cells, Conflict.REJECT, None)).accepted:
            try:
                appender.commit()
            except DiskError:
                appender.rollback()
        self.disk.bytes_max = UNBOUNDED

    @rule(cells=CELLS, failures=st.integers(1, 3))
    def append_with_failing_syncs(self, cells: list[Cell], failures: int) -> None:
        """Not acknowledged: it may be there after all, so it is sent again until it is."""
        batch = self.batch(cells, Conflict.REPLACE, 86400.0)
        self.disk.fail_syncs = failures
        for _ in range(failures + 2):
            appender = self.database.appender()
            appender.append(batch)
            try:
                appender.commit()
                break
            except DiskError:
                appender.rollback()
        self.disk.fail_syncs = 0
        appender = self.database.appender()
        appender.append(batch)
        appender.commit()
        theirs = self.oracle.appender()
        theirs.append(batch)
        theirs.commit()

    @rule(seconds=st.sampled_from([1, 900, 7200]))
    def pass_time(self, seconds: int) -> None:
        self.clock.jump(seconds)

    @rule()
    def seal(self) -> None:
        self.database.seal()

    @rule()
    def maintain(self) -> None:
        self.database.maintain()

    @rule()
    def compact_everything(self) -> None:
        self.compact(self.database)

    def compact(self, database: Database) -> None:
        database.seal()
        state = database._state
        compact_head(state, self.clock.now_ms() // BLOCK_MS * BLOCK_MS)
        merge_blocks(state)
        drop_dead_series(state)
        drop_expired(state)

    @rule()
    def stop_and_start(self) -> None:
        self.database.close()
        self.disk.restart(power_lost=False)
        self.open_database()

    @rule(
        number=st.sampled_from(["0", "3", "[1-4]", ".+"]), start=st.integers(-40, 40), width=st.integers(0, 80),
        cleans=st.booleans(),
    )  # fmt: skip
    def delete(self, number: str, start: int, width: int, cleans: bool) -> None:
        """What is deleted says no more how new a series is, at once here and after a restart there: so newer samples follow."""
        now = self.clock.now_ms() // STEP_MS * STEP_MS
        begin, end = now + start * STEP_MS // 4, now + (start + width) * STEP_MS // 4
        matcher = Matcher("n", MatchOperator.REGEX, number)
        self.database.delete_series([matcher], begin, end)
        for series in self.oracle.by_key.values():
            if matcher.matches(series.labels.get("n") or ""):
                delete_from(series, begin, end)
        if cleans:
            self.database.clean_tombstones()
        newest = self.clock.now_ms() + FUTURE_MS_MAX
        for store in (self.database, self.oracle):
            append(store, {series: [(newest, 1.0)] for series in SERIES}, Conflict.REPLACE)
        self.clock.jump(FUTURE_MS_MAX / 1000)

    @rule(steps=st.integers(0, 40), what=st.sampled_from(["seal", "compact", "maintain"]), power_lost=st.booleans())
    def crash_while_maintaining(self, steps: int, what: str, power_lost: bool) -> None:
        self.disk.crash_in = steps
        with contextlib.suppress(Crash, WorldError):
            {"seal": self.database.seal, "maintain": self.database.maintain}.get(
                what, lambda: self.compact(self.database)
            )()
        self.disk.restart(power_lost=power_lost and self.sync_always)
        self.open_database()

    @rule(cells=CELLS, steps=st.integers(0, 3), power_lost=st.booleans())
    def crash_while_appending(self, cells: list[Cell], steps: int, power_lost: bool) -> None:
        batch = self.batch(cells, Conflict.REPLACE, 86400.0)
        self.disk.crash_in = steps
        try:
            appender = self.database.appender()
            appender.append(batch)
            appender.commit()
        except Crash:
            pass
        self.disk.restart(power_lost=power_lost and self.sync_always)
        self.open_database()
        again, theirs = self.database.appender(), self.oracle.appender()
        again.append(batch)
        again.commit()
        theirs.append(batch)
        theirs.commit()

    @invariant()
    def both_stores_hold_the_same(self) -> None:
        if hasattr(self, "database"):
            assert facts(self.database) == facts(self.oracle)

    @rule(start=st.integers(-60, 40), width=st.integers(0, 40))
    def read_a_range(self, start: int, width: int) -> None:
        now = self.clock.now_ms() // STEP_MS * STEP_MS
        begin, end = now + start * STEP_MS // 4, now + (start + width) * STEP_MS // 4
        assert facts(self.database, begin, end) == facts(self.oracle, begin, end)


class KilledProcessHistory(DatabaseHistory):
    sync_always = False


EXAMPLES_MAX = int(os.environ.get("NUNCHI_HISTORIES", "25"))
BOUNDS = settings(
    max_examples=EXAMPLES_MAX,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestPowerLoss = DatabaseHistory.TestCase
TestPowerLoss.settings = BOUNDS
TestKilledProcess = KilledProcessHistory.TestCase
TestKilledProcess.settings = BOUNDS
