"""The suite of `storage.contracts`: subclass `StoreSuite` in a test module and say how the store is made.

Every case speaks through the contract alone. Times are milliseconds after the virtual clock's present.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nunchi.kit.clock import Clock
from nunchi.model.batch import Batch, Conflict, Reason
from nunchi.model.exemplar import Exemplar, ExemplarRefusal
from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, ABSENT_BITS, STALE, is_stale
from nunchi.storage.contracts import FUTURE_MS_MAX, AppendResult, Selection, Store
from nunchi.testing.clock import VirtualClock

Samples = list[tuple[int, float]]

UP = Labels.of("up", job="node", instance="a")
LOAD_A = Labels.of("load1", instance="a")
LOAD_B = Labels.of("load1", instance="b")
LATENCY = Histogram(
    schema=1,
    count=8.0,
    sum=7.5,
    zero_threshold=0.001,
    zero_count=2.0,
    positive_spans=(BucketSpan(-1, 1), BucketSpan(2, 2)),
    positive_buckets=(2.0, 0.0, 3.0),
    negative_spans=(BucketSpan(0, 1),),
    negative_buckets=(1.0,),
)
CUSTOM = Histogram(
    CUSTOM_SCHEMA, 3.0, 2.5, positive_spans=(BucketSpan(0, 2),), positive_buckets=(1.0, 2.0), custom_values=(0.5, 1.0)
)
NAME_SET = Matcher(METRIC_NAME, MatchOperator.NOT_EQUAL, "")


def append(
    store: Store,
    samples: Mapping[Labels, Sequence[tuple[int, float]]],
    on_conflict: Conflict = Conflict.REJECT,
    late_max_seconds: float | None = None,
) -> AppendResult:
    """Append and commit samples, series after series."""
    layout = Layout.of(*samples)
    cells = [(t, c, v) for c, series in enumerate(samples.values()) for t, v in series]
    batch = Batch.cells(
        layout,
        np.array([t for t, _, _ in cells], np.int64),
        np.array([c for _, c, _ in cells], np.int32),
        np.array([v for _, _, v in cells], np.float64),
        on_conflict=on_conflict,
        late_max_seconds=late_max_seconds,
    )
    appender = store.appender()
    result = appender.append(batch)
    appender.commit()
    return result


def exemplar(timestamp_ms: int, value: float, span: str = "a") -> Exemplar:
    """An exemplar with a span's id."""
    return Exemplar(Labels({"span_id": span}), value, timestamp_ms)


def samples_of(selection: Selection, tile_bytes: int = 1 << 20) -> dict[Labels, Samples]:
    """All samples of a selection, absent cells left out."""
    found: dict[Labels, Samples] = {}
    for tile in selection.read(0, len(selection.labels), tile_bytes):
        for i, series in enumerate(tile.series.tolist()):
            vector = tile.vector_of[i]
            timestamps = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
            values = tile.values[tile.offsets[i] : tile.offsets[i + 1]]
            assert len(timestamps) == len(values)
            assert (np.diff(timestamps) > 0).all()
            present = values.view(np.uint64) != ABSENT_BITS
            labels = selection.labels.labels(series)
            assert labels not in found
            found[labels] = list(zip(timestamps[present].tolist(), values[present].tolist(), strict=True))
    return found


def histogram_batch(
    labels: Labels,
    samples: Sequence[tuple[int, "float | Histogram"]],
    *,
    is_integer: bool = False,
    starts: Sequence[int] | None = None,
) -> Batch:
    """A batch of one series whose samples are numbers and histograms."""
    histograms = [value for _, value in samples if isinstance(value, Histogram)]
    kinds = np.array([isinstance(value, Histogram) for _, value in samples], np.bool_)
    return Batch.cells(
        Layout.of(labels),
        np.array([t for t, _ in samples], np.int64),
        np.zeros(len(samples), np.int32),
        np.array([ABSENT if isinstance(value, Histogram) else value for _, value in samples], np.float64),
        histogram_of=np.where(kinds, np.cumsum(kinds) - 1, FLOAT).astype(np.int32),
        histograms=HistogramColumns.of(histograms, [is_integer] * len(histograms)),
        starts=None if starts is None else np.array(starts, np.int64),
    )


def mixed_samples_of(store: Store, *matchers: Matcher) -> dict[Labels, list[tuple[int, "float | Histogram"]]]:
    """All samples of the series that match, histograms as objects."""
    found: dict[Labels, list[tuple[int, float | Histogram]]] = {}
    querier = store.querier()
    selection = querier.select(matchers or (NAME_SET,), -(2**62), 2**62)
    for tile in selection.read(0, len(selection.labels)):
        for i, series in enumerate(tile.series.tolist()):
            first = int(tile.offsets[i])
            vector = tile.vector_of[i]
            points = found.setdefault(selection.labels.labels(series), [])
            stamps = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]].tolist()
            for cell, stamp in enumerate(stamps, first):
                number = FLOAT if tile.histogram_of is None else int(tile.histogram_of[cell])
                if number != FLOAT and tile.histograms is not None:
                    assert tile.values.view(np.uint64)[cell] == ABSENT_BITS
                    points.append((stamp, tile.histograms.histogram(number)))
                elif tile.values.view(np.uint64)[cell] != ABSENT_BITS:
                    points.append((stamp, float(tile.values[cell])))
    querier.close()
    return found


def select(
    store: Store, *matchers: Matcher, start_ms: int = -(2**62), end_ms: int = 2**62, tile_bytes: int = 1 << 20
) -> dict[Labels, Samples]:
    """The samples of the series that match; all series where no matcher is given."""
    querier = store.querier()
    try:
        return samples_of(querier.select(matchers or (NAME_SET,), start_ms, end_ms), tile_bytes)
    finally:
        querier.close()


def is_equal(name: str, value: str) -> Matcher:
    """`name="value"`."""
    return Matcher(name, MatchOperator.EQUAL, value)


class StoreSuite:
    """What every store does. `make_store` gives an empty one; its lateness window is zero, its retention 15 days."""

    def make_store(self, clock: Clock) -> Store:
        """An empty store on this clock."""
        raise AssertionError("a suite says how its store is made")

    def setup_method(self) -> None:
        """A fresh store for each case; `now` is its clock's present in milliseconds."""
        self.clock = VirtualClock()
        self.store = self.make_store(self.clock)
        self.now = self.clock.now_ms()

    def test_samples_come_back_as_they_were_appended(self) -> None:
        written = {UP: [(self.now, 1.0), (self.now + 1, 0.0)], LOAD_A: [(self.now, 0.25)]}
        assert append(self.store, written).accepted == 3
        assert select(self.store) == written

    def test_what_is_not_committed_is_not_seen(self) -> None:
        appender = self.store.appender()
        appender.append(Batch.row(Layout.of(UP), self.now, np.array([0], np.int32), np.array([1.0])))
        assert select(self.store) == {}
        appender.commit()
        assert select(self.store) == {UP: [(self.now, 1.0)]}

    def test_marks_are_committed_with_samples_and_taken_back_with_them(self) -> None:
        row = Batch.row(Layout.of(UP), self.now, np.array([0], np.int32), np.array([1.0]))
        appender = self.store.appender()
        appender.append(row)
        appender.mark("a", b"1")
        appender.mark("b", bytes(range(256)))
        assert self.store.marks() == {}
        appender.commit()
        assert self.store.marks() == {"a": b"1", "b": bytes(range(256))}
        appender.append(row)
        appender.mark("a", b"2")
        appender.rollback()
        appender.mark("b", b"")
        appender.commit()
        assert self.store.marks() == {"a": b"1"}
        assert select(self.store) == {UP: [(self.now, 1.0)]}

    def test_rollback_takes_back_what_is_not_committed(self) -> None:
        appender = self.store.appender()
        appender.append(Batch.row(Layout.of(UP), self.now, np.array([0], np.int32), np.array([1.0])))
        appender.rollback()
        appender.commit()
        assert select(self.store) == {}
        assert append(self.store, {UP: [(self.now, 2.0)]}).accepted == 1

    def test_the_same_sample_again_is_accepted_silently(self) -> None:
        append(self.store, {UP: [(self.now, 1.0), (self.now + 5, math.nan)]})
        again = append(self.store, {UP: [(self.now, 1.0), (self.now + 5, math.nan)]})
        assert (again.accepted, again.rejected) == (2, {})
        assert len(select(self.store)[UP]) == 2

    def test_another_value_for_a_timestamp_is_rejected_and_named(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)]})
        result = append(self.store, {UP: [(self.now, 2.0)], LOAD_A: [(self.now, 3.0)]})
        assert result.rejected == {Reason.DUPLICATE_TIMESTAMP: 1}
        assert (result.examples[0].labels, result.examples[0].timestamp_ms) == (UP, self.now)
        assert select(self.store) == {UP: [(self.now, 1.0)], LOAD_A: [(self.now, 3.0)]}

    def test_a_batch_that_replaces_overwrites(self) -> None:
        append(self.store, {UP: [(self.now, 1.0), (self.now + 1, 1.0)]})
        result = append(self.store, {UP: [(self.now + 1, 7.0)]}, on_conflict=Conflict.REPLACE)
        assert result.rejected == {}
        assert select(self.store) == {UP: [(self.now, 1.0), (self.now + 1, 7.0)]}

    def test_a_conflict_inside_one_batch_keeps_the_first(self) -> None:
        result = append(self.store, {UP: [(self.now, 1.0), (self.now, 2.0)]})
        assert result.rejected == {Reason.DUPLICATE_TIMESTAMP: 1}
        assert select(self.store) == {UP: [(self.now, 1.0)]}

    def test_order_is_judged_per_series(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)]})
        result = append(self.store, {UP: [(self.now - 1, 1.0)], LOAD_A: [(self.now - 1000, 2.0)]})
        assert result.rejected == {Reason.OUT_OF_ORDER: 1}
        assert result.accepted == 1
        assert select(self.store)[LOAD_A] == [(self.now - 1000, 2.0)]

    def test_a_batch_may_allow_lateness_of_its_own(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)]})
        late = append(self.store, {UP: [(self.now - 60_000, 2.0), (self.now - 61_000, 3.0)]}, late_max_seconds=60)
        assert (late.accepted, late.rejected) == (1, {Reason.TOO_OLD: 1})
        assert select(self.store) == {UP: [(self.now - 60_000, 2.0), (self.now, 1.0)]}

    def test_the_far_future_is_rejected(self) -> None:
        edge = self.now + FUTURE_MS_MAX
        result = append(self.store, {UP: [(edge, 1.0), (edge + 1, 1.0)]})
        assert (result.accepted, result.rejected) == (1, {Reason.TOO_FAR_IN_FUTURE: 1})

    def test_a_new_series_may_start_anywhere_within_the_retention(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)]})
        day = 24 * 3600 * 1000
        result = append(self.store, {LOAD_A: [(self.now - 14 * day, 1.0)], LOAD_B: [(self.now - 16 * day, 1.0)]})
        assert (result.accepted, result.rejected) == (1, {Reason.TOO_OLD: 1})

    def test_markers_and_odd_floats_keep_their_bits(self) -> None:
        odd = [0.0, -0.0, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, math.nan, STALE]
        append(self.store, {UP: [(self.now + i, value) for i, value in enumerate(odd)]})
        found = np.array([value for _, value in select(self.store)[UP]])
        assert found.view(np.uint64).tolist() == np.array(odd).view(np.uint64).tolist()
        assert is_stale(found[-1])

    def test_a_selection_holds_only_its_range(self) -> None:
        append(self.store, {UP: [(self.now + i, float(i)) for i in range(5)], LOAD_A: [(self.now, 1.0)]})
        assert select(self.store, start_ms=self.now + 1, end_ms=self.now + 3) == {
            UP: [(self.now + i, float(i)) for i in (1, 2, 3)]
        }

    def test_small_tiles_hold_the_same_samples(self) -> None:
        written = {
            Labels.of("m", n=str(n)): [(self.now + i * (1 + n % 3), float(n * i)) for i in range(n % 7 + 1)]
            for n in range(50)
        }
        append(self.store, written)
        assert select(self.store, tile_bytes=64) == written

    def test_matchers_select_as_promql_says(self) -> None:
        append(self.store, {series: [(self.now, 1.0)] for series in (UP, LOAD_A, LOAD_B)})
        cases = [
            ([is_equal("instance", "a")], {UP, LOAD_A}),
            ([is_equal(METRIC_NAME, "load1"), is_equal("instance", "b")], {LOAD_B}),
            ([is_equal(METRIC_NAME, "load1"), Matcher("instance", MatchOperator.NOT_EQUAL, "b")], {LOAD_A}),
            ([Matcher(METRIC_NAME, MatchOperator.REGEX, "u.|load.*"), is_equal("job", "")], {LOAD_A, LOAD_B}),
            ([is_equal("instance", "a"), Matcher("job", MatchOperator.NOT_REGEX, "n.*")], {LOAD_A}),
            ([is_equal("instance", "none")], set()),
        ]
        for matchers, wanted in cases:
            assert set(select(self.store, *matchers)) == wanted, matchers

    def test_a_selection_is_sorted_by_labels_and_promises_shared_timestamps(self) -> None:
        append(self.store, {LOAD_B: [(self.now, 1.0)], UP: [(self.now + 1, 1.0)], LOAD_A: [(self.now, 1.0)]})
        querier = self.store.querier()
        selection = querier.select((NAME_SET,), self.now, self.now + 1)
        assert [selection.labels.labels(i) for i in range(3)] == sorted([LOAD_A, LOAD_B, UP])
        assert selection.sizes.tolist() == [1, 1, 1]
        vectors = dict(zip(sorted([LOAD_A, LOAD_B, UP]), selection.vectors.tolist(), strict=True))
        assert vectors[UP] == -1 or vectors[UP] != vectors[LOAD_A]
        querier.close()

    def test_a_selection_does_not_see_what_is_committed_later(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)]})
        querier = self.store.querier()
        selection = querier.select((NAME_SET,), 0, 2**62)
        append(self.store, {UP: [(self.now + 1, 2.0)]})
        assert samples_of(selection) == {UP: [(self.now, 1.0)]}
        querier.close()

    def test_label_names_and_values_obey_matchers_range_and_limit(self) -> None:
        append(self.store, {UP: [(self.now, 1.0)], LOAD_A: [(self.now, 1.0)], LOAD_B: [(self.now + 10, 1.0)]})
        querier = self.store.querier()
        assert querier.label_names((), 0, 2**62) == [METRIC_NAME, "instance", "job"]
        assert querier.label_names((is_equal(METRIC_NAME, "load1"),), 0, 2**62) == [METRIC_NAME, "instance"]
        assert querier.label_values("instance", (), 0, 2**62) == ["a", "b"]
        assert querier.label_values("instance", (), 0, 2**62, limit=1) == ["a"]
        assert querier.label_values("instance", (), self.now + 5, 2**62) == ["b"]
        assert querier.label_values("nothing", (), 0, 2**62) == []
        querier.close()

    def test_metadata_is_kept_by_family(self) -> None:
        metadata = {"load1": Metadata(MetricType.GAUGE, "1m load average.")}
        appender = self.store.appender()
        batch = Batch.row(Layout.of(LOAD_A), self.now, np.array([0], np.int32), np.array([1.0]), metadata)
        appender.append(batch)
        appender.commit()
        assert self.store.metadata() == metadata

    def test_a_growing_layout_keeps_its_columns(self) -> None:
        layout = Layout.of(UP)
        appender = self.store.appender()
        appender.append(Batch.row(layout, self.now, np.array([0], np.int32), np.array([1.0])))
        layout.append(LOAD_A.key())
        appender.append(Batch.row(layout, self.now + 1, np.array([1, 0], np.int32), np.array([5.0, 2.0])))
        appender.commit()
        assert select(self.store) == {UP: [(self.now, 1.0), (self.now + 1, 2.0)], LOAD_A: [(self.now + 1, 5.0)]}

    def append_batch(self, batch: Batch) -> AppendResult:
        """Append and commit."""
        appender = self.store.appender()
        result = appender.append(batch)
        appender.commit()
        return result

    def test_histograms_come_back_as_they_were_appended(self) -> None:
        grown = replace(LATENCY, count=9.0, positive_buckets=(3.0, 0.0, 3.0))
        written = [(self.now, LATENCY), (self.now + 1, grown), (self.now + 2, CUSTOM)]
        assert self.append_batch(histogram_batch(UP, written)).accepted == 3
        wanted = [LATENCY, replace(grown, reset_hint=ResetHint.NOT_RESET), CUSTOM]
        assert mixed_samples_of(self.store) == {
            UP: list(zip((self.now, self.now + 1, self.now + 2), wanted, strict=True))
        }

    def test_a_series_may_mix_numbers_and_histograms(self) -> None:
        written: list[tuple[int, float | Histogram]] = [
            *((self.now, 1.0), (self.now + 1, LATENCY)),
            *((self.now + 2, 2.0), (self.now + 3, LATENCY)),
        ]
        assert self.append_batch(histogram_batch(UP, written)).accepted == 4
        assert mixed_samples_of(self.store) == {UP: written}
        assert select(self.store) == {UP: [(self.now, 1.0), (self.now + 2, 2.0)]}

    def test_a_histogram_that_fell_has_no_hint_and_a_gauge_keeps_its_own(self) -> None:
        gauge = replace(LATENCY, reset_hint=ResetHint.GAUGE)
        fallen = replace(LATENCY, count=5.0, positive_buckets=(1.0, 0.0, 1.0))
        written = [(self.now, LATENCY), (self.now + 1, fallen), (self.now + 2, gauge), (self.now + 3, LATENCY)]
        self.append_batch(histogram_batch(UP, written))
        assert mixed_samples_of(self.store)[UP] == written

    def test_the_same_histogram_again_is_accepted_and_another_rejected(self) -> None:
        self.append_batch(histogram_batch(UP, [(self.now, LATENCY), (self.now + 1, LATENCY)]))
        again = self.append_batch(histogram_batch(UP, [(self.now, LATENCY), (self.now + 1, LATENCY)]))
        assert (again.accepted, again.rejected) == (2, {})
        other = self.append_batch(histogram_batch(UP, [(self.now + 1, replace(LATENCY, sum=8.0)), (self.now, 1.0)]))
        assert other.rejected == {Reason.DUPLICATE_TIMESTAMP: 2}

    def test_a_histogram_series_ends_with_a_marker_in_its_sum(self) -> None:
        self.append_batch(histogram_batch(UP, [(self.now, LATENCY), (self.now + 1, Histogram(sum=STALE))]))
        (_, first), (_, last) = mixed_samples_of(self.store)[UP]
        assert isinstance(first, Histogram)
        assert isinstance(last, Histogram)
        assert is_stale(last.sum)

    def test_start_timestamps_are_remembered(self) -> None:
        self.append_batch(histogram_batch(UP, [(self.now, 1.0), (self.now + 5, 2.0)], starts=[0, self.now + 1]))
        querier = self.store.querier()
        (tile,) = querier.select((NAME_SET,), 0, 2**62).read(0, 1)
        assert tile.starts is not None
        assert tile.starts.tolist() == [0, self.now + 1]
        querier.close()

    def append_exemplars(self, *exemplars: tuple[Labels, Exemplar]) -> AppendResult:
        """Append and commit exemplars alone."""
        layout = Layout.of(*dict.fromkeys(labels for labels, _ in exemplars))
        columns = {labels: column for column, labels in enumerate(dict.fromkeys(labels for labels, _ in exemplars))}
        nothing = np.empty(0, np.int64)
        rows = [(columns[labels], exemplar) for labels, exemplar in exemplars]
        return self.append_batch(
            Batch.cells(layout, nothing, np.empty(0, np.int32), np.empty(0, np.float64), exemplars=rows)
        )

    def test_exemplars_come_back_by_selector_and_range(self) -> None:
        first, second = exemplar(self.now, 1.0), exemplar(self.now + 10, 2.0, span="b")
        result = self.append_exemplars((LOAD_B, first), (LOAD_A, first), (LOAD_A, second))
        assert result.exemplars_refused == {}
        everything = self.store.exemplars([[NAME_SET]], 0, 2**62)
        assert everything == [(LOAD_A, (first, second)), (LOAD_B, (first,))]
        assert self.store.exemplars([[is_equal("instance", "a")], [is_equal("job", "x")]], self.now + 1, 2**62) == [
            (LOAD_A, (second,))
        ]
        assert self.store.exemplars([], 0, 2**62) == []

    def test_exemplars_are_refused_by_the_rules_of_prometheus(self) -> None:
        held = exemplar(self.now, 2.0)
        result = self.append_exemplars(
            (UP, held), (UP, held), (UP, exemplar(self.now - 1, 9.0)), (UP, exemplar(self.now, 1.0)),
            (UP, exemplar(self.now + 1, 1.0, span="x" * 200)),
            (UP, replace(held, timestamp_ms=self.now + 5, has_timestamp=False)),
        )  # fmt: skip
        assert result.exemplars_refused == {
            ExemplarRefusal.DUPLICATE: 1,
            ExemplarRefusal.OUT_OF_ORDER: 2,
            ExemplarRefusal.LABELS_TOO_LONG: 1,
        }
        again = self.append_exemplars((UP, exemplar(self.now, 2.0)))
        assert sum(again.exemplars_refused.values()) == 1

    def test_statistics_count_what_is_stored(self) -> None:
        append(self.store, {UP: [(self.now, 1.0), (self.now + 9, 1.0)], LOAD_A: [(self.now, 1.0)]})
        statistics = self.store.statistics()
        assert (statistics.series, statistics.samples) == (2, 3)
        assert (statistics.min_time_ms, statistics.max_time_ms) == (self.now, self.now + 9)
