"""Late cells at once are what they are one by one: judged by what stands at their places, and kept so that the last counts."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append, select
from nunchi.testing.disk import FaultyDisk
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.database import Database
from nunchi.tsdb.late_cells import LateLayer
from nunchi.tsdb.places import DUPLICATE, KNOWN, LATE, TAKEN, Places
from nunchi.tsdb.references import Arena, references
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

SHAPES = [
    Histogram(0, count, count, 0.01, 0.0, (BucketSpan(low, 1),), (count,)) for count in (1.0, 2.0) for low in (0, 1)
]
CONTENTS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, float("nan")]), st.sampled_from(SHAPES))
CELL = st.tuples(st.integers(0, 3), st.integers(-2, 2), CONTENTS)
CELLS = st.lists(CELL, max_size=12)
SERIES = 4


def cells_of(listed: Sequence[tuple[int, int, float | Histogram]]) -> Cells:
    histograms = [content for _, _, content in listed if isinstance(content, Histogram)]
    is_rich = np.array([isinstance(content, Histogram) for _, _, content in listed], np.bool_)
    values = np.array([0.0 if isinstance(content, Histogram) else content for _, _, content in listed], np.float64)
    values[is_rich] = references(np.arange(len(histograms)))
    columns = HistogramColumns.of(histograms, [True] * len(histograms)) if histograms else None
    refs, times = ([cell[part] for cell in listed] for part in (0, 1))
    return Cells(np.array(refs, np.int32), np.array(times, np.int64), values, None, columns)


def said(content: float | Histogram) -> object:
    return content if isinstance(content, Histogram) else np.float64(content).view(np.uint64)


@given(CELLS, st.lists(st.tuples(CELL, st.booleans(), st.booleans()), min_size=1, max_size=12), st.booleans())
def test_cells_have_the_fates_that_they_have_one_by_one(
    stored: list[tuple[int, int, float | Histogram]],
    judged: list[tuple[tuple[int, int, float | Histogram], bool, bool]],
    replaces: bool,
) -> None:
    held = {(ref, time): said(content) for ref, time, content in stored}
    wanted, taken = [], set(held)
    for (ref, time, content), is_too_late, says_more in judged:
        key = ref, time
        if key in held and held[key] == said(content) and not says_more:
            wanted.append(KNOWN)
        elif key in held and not replaces:
            wanted.append(DUPLICATE)
        elif key not in held and is_too_late:
            wanted.append(LATE)
        else:
            wanted.append(TAKEN)
            held[key] = said(content)
    places = Places(cells_of([cell for cell, _, _ in judged]))
    for cell in stored:
        places.note(cells_of([cell]))
    assert places.are_free().tolist() == [cell[:2] not in taken for cell, _, _ in judged]
    too_late, more = (np.array([entry[part] for entry in judged], np.bool_) for part in (1, 2))
    assert places.judge(too_late, more, replaces=replaces).tolist() == wanted


@given(st.lists(CELLS.filter(bool), min_size=1, max_size=5), st.integers(-3, 3), st.integers(0, 4))
def test_layers_that_were_merged_hold_the_last_cell_of_each_place(
    parts: list[list[tuple[int, int, float | Histogram]]], start: int, width: int
) -> None:
    arena, layer = Arena(), None
    held = {}
    for number, part in enumerate(parts):
        plain = [(ref, time, float(100 * number + i)) for i, (ref, time, _) in enumerate(part)]
        held.update({(ref, time): value for ref, time, value in plain})
        newer = LateLayer.of(cells_of(plain), arena)
        layer = newer if layer is None else layer.merged(newer)
    assert layer is not None
    found = layer.find(np.arange(SERIES, dtype=np.int32), start, start + width)
    rows: dict[tuple[int, int], float] = {}
    for series, column, begin, end in zip(found.series, found.columns, found.begins, found.ends, strict=True):
        targets, size = np.zeros(1, np.int64), int(end - begin)
        times, values = np.empty(size, np.int64), np.empty(size)
        layer.decode_times(np.array([column]), np.array([begin]), np.array([end]), targets, times)
        layer.decode_values(np.array([column]), np.array([begin]), np.array([end]), targets, values)
        rows.update({(int(series), int(time)): float(value) for time, value in zip(times, values, strict=True)})
    assert rows == {key: value for key, value in held.items() if start <= key[1] <= start + width}
    assert list(rows) == sorted(rows)


def test_many_late_batches_lie_in_few_layers_and_a_reader_sees_those_of_its_time() -> None:
    clock = VirtualClock()
    settings = DatabaseSettings(late_max_ms=10**9)
    telemetry, log = DatabaseTelemetry(Telemetry()), logger("tsdb")
    database = Database(Path("/data"), FaultyDisk(Random(1)), clock, telemetry, log, settings)
    database.open()
    series = [Labels.of("m", n=str(n)) for n in range(50)]
    now = clock.now_ms()
    append(database, {key: [(now, 0.0)] for key in series})
    early = None
    for batch in range(1, 101):
        append(database, {key: [(now - batch * 1000, float(batch))] for key in series})
        if batch == 40:
            early = database.querier()
    assert early is not None
    assert len(database._state.head.open.moment().late) <= 5
    assert {len(samples) for samples in select(database).values()} == {101}
    found = early.select((), now - 10**6, now)
    assert set(found.sizes.tolist()) == {41}
