"""A damaged page met in compaction: it is dropped and named, and stops nothing."""

from tests.tsdb.test_damage import SERIES, Machine

from nunchi.testing.contracts.store import append, select
from nunchi.tsdb.compaction import BLOCK_MS, compact_head, merge


def test_compaction_drops_a_damaged_page_names_it_and_goes_on() -> None:
    machine = Machine()
    written = machine.fill()
    machine.database.seal()
    (run,) = {*machine.disk.files} & {file.path for file in machine.database._state.sealed.runs[:1]}
    machine.disk.files[run].content[40] ^= 1
    machine.restart()
    state = machine.database._state
    compact_head(state, (machine.clock.now_ms() // BLOCK_MS + 1) * BLOCK_MS)
    assert state.sealed.runs == ()
    assert machine.counts.corruptions.total() == 1
    assert any("damaged" in path.parts for path in machine.disk.files)
    found = select(machine.database)
    lost = sum(map(len, written.values())) - sum(map(len, found.values()))
    assert 0 < lost < sum(map(len, written.values()))
    for series, samples in found.items():
        assert set(samples) <= set(written[series])


def test_a_merge_drops_a_damaged_page_and_keeps_the_other_block() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    for begin in (now - 6 * BLOCK_MS, now - 5 * BLOCK_MS):
        append(machine.database, {series: [(begin, float(n))] for n, series in enumerate(SERIES)})
    machine.database.seal()
    compact_head(machine.database._state, now // BLOCK_MS * BLOCK_MS)
    first, _ = machine.database._state.sealed.blocks
    machine.disk.files[first.chunks.path].content[40] ^= 1
    machine.restart()
    merge(machine.database._state, machine.database._state.sealed.blocks)
    assert machine.counts.corruptions.total() == 1
    assert select(machine.database) == {series: [(now - 5 * BLOCK_MS, float(n))] for n, series in enumerate(SERIES)}
