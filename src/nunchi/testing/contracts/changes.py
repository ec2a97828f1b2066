"""The suite of `storage.changes`: subclass `ChangesSuite` in a test module and say how the store is made."""

from typing import Protocol

from nunchi.kit.clock import Clock
from nunchi.model.labels import Labels
from nunchi.storage.changes import NEVER_MS, RECENT_MS, ChangeSource, Span
from nunchi.storage.contracts import Store
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append

LOAD = Labels.of("load1", instance="a")
UP = Labels.of("up", instance="a")
NOW_MS = 1_700_000_000_000


class ChangingStore(Store, ChangeSource, Protocol):
    """What the suite speaks to."""


class ChangesSuite:
    """Cases that hold for every store that tells of its changes."""

    def make_store(self, clock: Clock) -> ChangingStore:
        """A store with nothing in it."""
        raise NotImplementedError

    def make(self) -> ChangingStore:
        return self.make_store(VirtualClock(NOW_MS / 1000))

    def test_each_commit_is_a_version_with_its_oldest_sample(self) -> None:
        store = self.make()
        before = store.changes(0).version
        append(store, {LOAD: [(NOW_MS - 5000, 1.0)], UP: [(NOW_MS, 1.0)]})
        first = store.changes(before)
        assert first.version > before
        assert first.oldest_ms == NOW_MS - 5000
        append(store, {LOAD: [(NOW_MS, 2.0)]})
        assert store.changes(first.version).oldest_ms == NOW_MS
        assert store.changes(before).oldest_ms == NOW_MS - 5000

    def test_nothing_changes_by_reading_or_by_what_is_rolled_back(self) -> None:
        store = self.make()
        append(store, {LOAD: [(NOW_MS, 1.0)]})
        version = store.changes(0).version
        store.querier().close()
        store.appender().rollback()
        assert store.changes(version).version == version
        assert store.changes(version).oldest_ms == NEVER_MS

    def test_a_late_sample_is_told(self) -> None:
        store = self.make()
        append(store, {LOAD: [(NOW_MS, 1.0)]})
        version = store.changes(0).version
        append(store, {LOAD: [(NOW_MS - 60_000, 2.0)]}, late_max_seconds=600)
        assert store.changes(version).oldest_ms == NOW_MS - 60_000

    def test_a_very_late_sample_is_told_by_its_metric_alone(self) -> None:
        store = self.make()
        append(store, {LOAD: [(NOW_MS, 1.0)]})
        version = store.changes(0).version
        at_ms = NOW_MS - 2 * RECENT_MS
        append(store, {LOAD: [(at_ms, 2.0)], UP: [(NOW_MS, 1.0)]}, late_max_seconds=6000)
        assert store.changes(version).oldest_ms == NOW_MS
        assert store.changes(version).spans == (Span(at_ms, at_ms),)
        assert store.changes(version, frozenset({"load1", "x"})).spans == (Span(at_ms, at_ms),)
        assert store.changes(version, frozenset({"up"})).spans == ()
