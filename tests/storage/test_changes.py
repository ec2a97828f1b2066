"""The log of changes: what it answers is the truth, or earlier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.storage import changes
from nunchi.storage.changes import NEVER_MS, RECENT_MS, ChangeLog, Late, Span

NOW_MS = 10 * RECENT_MS


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(0, 70))
def test_the_oldest_change_since_a_version_is_the_minimum(commits: list[int], since: int):
    log = ChangeLog()
    for oldest_ms in commits:
        log.record(oldest_ms)
    answer = log.changes(since)
    assert answer.version == len(commits)
    assert answer.oldest_ms == min(commits[since:], default=NEVER_MS)


def test_a_log_that_was_shortened_names_an_earlier_time_never_a_later_one(monkeypatch):
    monkeypatch.setattr(changes, "ENTRIES_MAX", 4)
    log = ChangeLog()
    for oldest_ms in range(100, 120):
        log.record(oldest_ms)
    assert [log.changes(since).oldest_ms for since in (0, 10, 16, 17, 18, 19)] == [100, 100, 100, 117, 118, 119]
    assert log.changes(20).oldest_ms == NEVER_MS


def test_late_changes_are_told_by_metric():
    log = ChangeLog()
    log.record(100)
    log.record(late=Late(Span(5, 9), frozenset("ab")))
    log.record(120, Late(Span(1, 2), frozenset("b")))
    log.record(late=Late(Span(40, 50), None))
    assert log.changes(1, frozenset("a")).spans == (Span(5, 9), Span(40, 50))
    assert log.changes(2, frozenset("ab")).spans == (Span(1, 2), Span(40, 50))
    assert log.changes(1).spans == (Span(1, 2), Span(5, 9), Span(40, 50))
    assert log.changes(4, frozenset("a")).spans == ()
    assert log.changes(1, frozenset("c")).oldest_ms == 120
    assert log.changes(0, frozenset("c")) == changes.Changes(4, 100, -NEVER_MS, (Span(40, 50),))


@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.integers(0, 50), st.integers(0, 9))),
    st.integers(0, 60),
    st.sampled_from([None, *"abc"]),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_late_changes_are_never_told_smaller_than_they_are(
    late: list[tuple[set[str], int, int]], since: int, name: str | None, spans_max: int, names_max: int
):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(changes, "SPANS_MAX", spans_max)
        patched.setattr(changes, "NAMES_MAX", names_max)
        log = ChangeLog()
        for names, first, width in late:
            log.record(late=Late(Span(first, first + width), frozenset(names)))
    told = log.changes(since, None if name is None else frozenset(name)).spans
    for names, first, width in late[since:]:
        if name is None or name in names:
            assert any(span.first_ms <= first and first + width <= span.last_ms for span in told)


class Names:
    """Series whose metrics have numbers of their own; notes who was asked for."""

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        self.texts, self.asked = texts or {}, []

    def metrics_of(self, series: np.ndarray) -> np.ndarray:
        self.asked.append(series.tolist())
        return series

    def metric_texts(self, metrics: np.ndarray) -> list[str]:
        return [self.texts.get(number, f"m{number}") for number in metrics.tolist()]


def record(log: ChangeLog, cells: list[tuple[int, int]], names: Names) -> None:
    """Commit (series, timestamp)."""
    series, times = np.array([one for one, _ in cells], np.int32), np.array([at for _, at in cells], np.int64)
    log.record_cells(
        Span(int(times.min()), int(times.max())), ((series, times), (series[:0], times[:0])), NOW_MS, names
    )


def test_cells_are_split_by_their_age():
    log, names = ChangeLog(), Names({5: "\ufffd"})
    record(log, [(1, NOW_MS - 1), (2, NOW_MS)], names)
    assert log.changes(0) == changes.Changes(1, NOW_MS - 1, -NEVER_MS)
    assert names.asked == []
    record(log, [(3, 7), (1, NOW_MS), (3, 9)], names)
    assert log.changes(1, frozenset({"m3"})) == changes.Changes(2, NOW_MS, -NEVER_MS, (Span(7, 9),))
    assert log.changes(1, frozenset({"m1"})).spans == ()
    assert names.asked == [[3, 3]]
    record(log, [(5, 5)], names)
    assert log.changes(2, frozenset({"m1"})).spans == (Span(5, 5),)


def test_series_without_a_name_are_told_as_such():
    log = ChangeLog()
    record(log, [(-1, 5), (0, 6)], Names())
    assert log.changes(0, frozenset({""})).spans == log.changes(0, frozenset({"m0"})).spans == (Span(5, 6),)
    assert log.changes(0, frozenset({"m1"})).spans == ()


def test_names_are_looked_up_when_somebody_asks_and_changes_near_each_other_are_one():
    log, names, others = ChangeLog(), Names(), Names({1: "other"})
    for at in range(0, 5 * RECENT_MS, RECENT_MS):
        record(log, [(1, at)], names)
    record(log, [(2, 7 * RECENT_MS)], names)
    record(log, [(1, 10)], others)
    assert names.asked == others.asked == []
    assert log.changes(0, frozenset({"m1"})).spans == (Span(0, 4 * RECENT_MS),)
    assert log.changes(0, frozenset({"m2"})).spans == (Span(7 * RECENT_MS, 7 * RECENT_MS),)
    assert log.changes(0, frozenset({"other"})).spans == (Span(0, 4 * RECENT_MS),)
    assert log.changes(6, frozenset({"m1"})).version == 7
    record(log, [(1, 3)], names)
    assert log.changes(7, frozenset({"m1"})).spans == (Span(3, 3),)


def test_what_waits_for_names_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "UNNAMED_COMMITS_MAX", 3)
    monkeypatch.setattr(changes, "UNNAMED_CELLS_MAX", 10)
    log, names = ChangeLog(), Names()
    for at in range(4):
        record(log, [(at, at)], names)
    assert len(names.asked) == 1
    record(log, [(7, at) for at in range(11)], names)
    assert len(names.asked) == 2
    log.name()
    assert len(names.asked) == 2
    assert log.changes(3).spans == (Span(0, 3), Span(0, 10))


def test_removal_by_age_is_told_apart_from_other_changes():
    log = ChangeLog()
    log.remove_before(1000)
    log.remove_before(500)
    assert log.changes(0) == changes.Changes(0, NEVER_MS, 1000)
