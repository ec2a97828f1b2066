from nunchi.kit.clock import Clock
from nunchi.storage.contracts import Store
from nunchi.storage.memory import PRUNE_INTERVAL_MS, MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.changes import ChangesSuite
from nunchi.testing.contracts.store import LOAD_A, UP, StoreSuite, append, select


class TestMemoryStore(StoreSuite):
    def make_store(self, clock: Clock) -> Store:
        return MemoryStore(clock)


async def test_samples_older_than_the_retention_and_empty_series_are_forgotten():
    clock = VirtualClock()
    store = MemoryStore(clock, retention_ms=3_600_000)
    now = clock.now_ms()
    append(store, {UP: [(now, 1.0)], LOAD_A: [(now, 1.0)]})
    await clock.advance(1800)
    append(store, {LOAD_A: [(clock.now_ms(), 2.0)]})
    await clock.advance(1801 + PRUNE_INTERVAL_MS / 1000)
    append(store, {LOAD_A: [(clock.now_ms(), 3.0)]})
    assert [value for _, value in select(store)[LOAD_A]] == [2.0, 3.0]
    assert UP not in select(store)
    assert store.by_name.keys() == {"load1"}


class TestChangesOfMemoryStore(ChangesSuite):
    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(clock)
