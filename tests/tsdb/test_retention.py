"""What goes by age and by size: whole blocks, the oldest first, and never more than it takes."""

from random import Random

from tests.tsdb.test_damage import SERIES, Machine

from nunchi.testing.contracts.store import append, select
from nunchi.tsdb.state import DatabaseSettings

DAY_MS = 24 * 3600 * 1000
CENTURY_MS = 100 * 365 * DAY_MS


def fill(machine: Machine, days: int) -> None:
    chance, now = Random(7), machine.clock.now_ms()
    for begin in range(now - days * DAY_MS, now, DAY_MS // 2):
        times = range(begin, min(begin + DAY_MS // 2, now), 30 * 60 * 1000)
        append(machine.database, {series: [(time, chance.random()) for time in times] for series in SERIES})
    machine.database.seal()
    machine.clock.jump(3600)
    machine.database.maintain()


def used_bytes(machine: Machine) -> int:
    counted = {"wal", "head", "blocks"}
    return sum(len(stored.content) for path, stored in machine.disk.files.items() if counted & set(path.parts))


def test_blocks_go_once_everything_in_them_is_too_old() -> None:
    machine = Machine(settings=DatabaseSettings(retention_ms=5 * DAY_MS))
    fill(machine, 4)
    before = select(machine.database)
    machine.clock.jump(2 * 24 * 3600)
    machine.database.maintain()
    oldest = machine.clock.now_ms() - 5 * DAY_MS
    after = select(machine.database)
    assert machine.counts.blocks_dropped.value("time") > 0
    for series, samples in before.items():
        kept = after[series]
        assert kept == samples[-len(kept) :]
        assert oldest - DAY_MS // 2 < kept[0][0] <= next(time for time, _ in samples if time >= oldest)


def test_what_is_beyond_the_size_goes_and_most_of_what_may_stay_does() -> None:
    unbounded = Machine()
    fill(unbounded, 14)
    allowed = used_bytes(unbounded) // 2
    machine = Machine(settings=DatabaseSettings(retention_ms=CENTURY_MS, retention_bytes=allowed))
    fill(machine, 14)
    assert machine.counts.blocks_dropped.value("size") > 0
    assert 0.8 * allowed < used_bytes(machine) <= allowed
    newest = max(time for time, _ in select(machine.database)[SERIES[0]])
    assert newest == max(time for time, _ in select(unbounded.database)[SERIES[0]])


def test_the_log_counts() -> None:
    machine = Machine(settings=DatabaseSettings(retention_ms=CENTURY_MS))
    fill(machine, 4)
    machine.database.keep(CENTURY_MS, used_bytes(machine) + 100, 0)
    machine.database.maintain()
    assert machine.counts.blocks_dropped.value("size") == 0
    append(machine.database, {series: [(machine.clock.now_ms(), 1.0)] for series in SERIES})
    machine.database.maintain()
    assert machine.counts.blocks_dropped.value("size") == 1
