"""`delete_series` and `clean_tombstones`: see `tombstones` for what a deletion is."""

from collections.abc import Sequence

from nunchi.model.matchers import Matcher
from nunchi.storage.changes import Late
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.compaction import merge, merge_runs
from nunchi.tsdb.sealing import seal
from nunchi.tsdb.state import State
from nunchi.tsdb.tombstones import Deletion


def delete_series(state: State, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
    """What matches is no longer read, from now on and after a restart; raises `WorldError`, and then it is as before."""
    seal(state)
    with state.lock:
        deletion = Deletion.of(matchers, start_ms, end_ms, state.next_number())
        state.settle(state.sealed, deletions=(*state.manifest.deletions, deletion))
        state.changes.record(late=Late.of_matchers(matchers, start_ms, end_ms))


def clean_tombstones(state: State) -> None:
    """Write files anew that hold deleted samples, and forget the deletions."""
    for block in state.sealed.blocks:
        if _is_touched(state, block.chunks) and _has_deleted(state, block):
            merge(state, [block])
    if any(_is_touched(state, run) for run in state.sealed.runs):
        merge_runs(state)
    with state.lock:
        if state.manifest.deletions:
            state.settle(state.sealed, deletions=())


def _is_touched(state: State, file: ChunksFile) -> bool:
    return any(d.touches(file.number, file.min_time, file.max_time) for d in state.manifest.deletions)


def _has_deleted(state: State, block: Block) -> bool:
    return any(
        len(block.index.select(deletion.to_matchers())) > 0
        for deletion in state.manifest.deletions
        if block.meta.number < deletion.before
    )
