"""The log of changes: what it answers is the truth, or earlier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.storage import changes
from nunchi.storage.changes import NEVER_MS, RECENT_MS, ChangeLog, Late, Span


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


def test_cells_are_split_by_their_age():
    log = ChangeLog()
    asked = []

    def names_of(series: np.ndarray) -> list[str]:
        asked.append(series.tolist())
        return [f"m{number}" for number in series.tolist()]

    now_ms = 10 * RECENT_MS
    log.record_cells(np.array([1, 2]), np.array([now_ms - 1, now_ms]), now_ms, names_of)
    assert asked == []
    assert log.changes(0) == changes.Changes(1, now_ms - 1, -NEVER_MS)
    log.record_cells(np.array([3, 1, 3]), np.array([7, now_ms, 9]), now_ms, names_of)
    assert asked == [[3]]
    assert log.changes(1, frozenset({"m3"})) == changes.Changes(2, now_ms, -NEVER_MS, (Span(7, 9),))
    assert log.changes(1, frozenset({"m1"})).spans == ()
    log.record_cells(np.array([4]), np.array([5]), now_ms, lambda _: ["\ufffd"])
    assert log.changes(2, frozenset({"m1"})).spans == (Span(5, 5),)


def test_removal_by_age_is_told_apart_from_other_changes():
    log = ChangeLog()
    log.remove_before(1000)
    log.remove_before(500)
    assert log.changes(0) == changes.Changes(0, NEVER_MS, 1000)
