"""The log of changes: what it answers is the truth, or earlier."""

from hypothesis import given
from hypothesis import strategies as st

from nunchi.storage import changes
from nunchi.storage.changes import NEVER_MS, ChangeLog


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


def test_removal_by_age_is_told_apart_from_other_changes():
    log = ChangeLog()
    log.remove_before(1000)
    log.remove_before(500)
    assert log.changes(0) == changes.Changes(0, NEVER_MS, 1000)
