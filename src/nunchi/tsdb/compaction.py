"""Runs become two-hour blocks, blocks merge by threes up to a tenth of the retention, in time and size, many runs become one.

A range is compacted once the head's newest sample is an hour past its end, so that a stop or a slow sender cuts no block;
what comes later goes to a block of its own over the same range, and the merge puts both together. That is work for few
samples, so it waits until more have come.
A damaged page is dropped, named and counted; it stops nothing.
Invariant: readers see the samples of a range in its old files or in its new ones, never in both or in none.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.damage import without_damage
from nunchi.tsdb.dead_series import drop_dead_series
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.manifest import RunEntry
from nunchi.tsdb.querier import View
from nunchi.tsdb.sealing import entry_of
from nunchi.tsdb.state import Sealed, State
from nunchi.tsdb.writing import write_block, write_run

BLOCK_MS = 2 * 3600 * 1000
GRACE_MS = 3600 * 1000
MERGE_FACTOR = 3
RETENTION_SHARE = 10
BLOCK_RANGE_MS_MAX = 31 * 24 * 3600 * 1000
RUNS_MAX = 12
COMPACTION_INTERVAL_MS = 5 * 60 * 1000
LATE_COMPACTION_INTERVAL_MS = 30 * 60 * 1000

Written = TypeVar("Written")


def compact(state: State) -> None:
    """Everything that is due; raises `WorldError`, and what was done by then stays."""
    due = _due_until(state)
    if due is not None and state.sealed.runs:
        compact_head(state, due)
        state.compacted_at_ms, state.compacted_until_ms = state.clock.now_ms(), due
    if len(state.sealed.runs) > RUNS_MAX:
        merge_runs(state)
    merge_blocks(state)
    drop_dead_series(state)
    _forget_deletions(state)


def is_open_due(state: State) -> bool:
    """Whether what is open has to be sealed because some of it is due for a block."""
    due, generation = _due_until(state), state.head.open
    return due is not None and not generation.is_empty and generation.min_time < due


def _due_until(state: State) -> int | None:
    """The end of the ranges that are due for blocks now; None where none is."""
    with state.lock:
        spans = [(run.min_time, run.max_time) for run in state.sealed.runs]
        spans += [(one.min_time, one.max_time) for one in state.head.generations if not one.is_empty]
        if not spans:
            return None
        due = (max(newest for _, newest in spans) - GRACE_MS) // BLOCK_MS * BLOCK_MS
        if min(oldest for oldest, _ in spans) >= due:
            return None
    interval_ms = COMPACTION_INTERVAL_MS if due > state.compacted_until_ms else LATE_COMPACTION_INTERVAL_MS
    has_waited = state.clock.now_ms() - state.compacted_at_ms >= interval_ms
    return due if has_waited or len(state.sealed.runs) > RUNS_MAX else None


def _forget_deletions(state: State) -> None:
    """Deletions of which no file has samples any more."""
    with state.lock:
        files = [*(block.chunks for block in state.sealed.blocks), *state.sealed.runs]
        left = tuple(
            d for d in state.manifest.deletions if any(d.touches(f.number, f.min_time, f.max_time) for f in files)
        )
        if left != state.manifest.deletions:
            state.settle(state.sealed, deletions=left)


def compact_head(state: State, until_ms: int) -> None:
    """All sealed samples before a time, a multiple of two hours, go to blocks."""
    runs = state.sealed.runs
    readable: Sequence[ChunksFile] = runs
    blocks: list[Block] = []
    for start_ms in _ranges(runs, until_ms):

        def write(files: Sequence[ChunksFile], start_ms: int = start_ms) -> Block | None:
            return write_block(
                state.disk, state.folder, state.next_number(), [state.view_of_runs(files)], start_ms,
                start_ms + BLOCK_MS, 1, tuple(run.number for run in runs), state.lock, state.cache,
            )  # fmt: skip

        block, readable = _write_readable(state, readable, write)
        if block is not None:
            blocks.append(block)
            state.telemetry.compactions.add(1, "head")
    rest = _rewrite_runs(state, [run.narrowed(until_ms) for run in readable if run.max_time >= until_ms])
    with state.lock:
        compacted = {run.number for run in runs}
        later = [run for run in state.sealed.runs if run.number not in compacted]
        entries = [entry for entry in state.manifest.runs if entry.number not in compacted]
        sealed = Sealed((*state.sealed.blocks, *blocks), tuple([run for run, _ in rest] + later))
        state.settle(
            sealed,
            blocks=tuple(block.meta.number for block in sealed.blocks),
            runs=tuple([entry for _, entry in rest] + entries),
        )
    for run in runs:
        state.disk.remove(run.path)


def _rewrite_runs(state: State, runs: Sequence[ChunksFile]) -> list[tuple[ChunksFile, RunEntry]]:
    """Some runs as one, with what is valid of them; nothing where that is nothing."""
    if not runs:
        return []
    has_late = any(entry_of(state, run.number).has_late for run in runs)

    def write(files: Sequence[ChunksFile]) -> int | None:
        number, view = state.next_number(), state.view_of_runs(files)
        refs = np.unique(np.concatenate([run.ids for run in files])).astype(np.int32)
        written = write_run(state.disk, state.folder.run(number), view, refs, state.lock, {"has_late": has_late})
        return number if written else None

    number, _ = _write_readable(state, runs, write)
    if number is None:
        return []
    state.telemetry.compactions.add(1, "runs")
    run = ChunksFile(state.disk, state.folder.run(number), number, state.cache)
    return [(run, RunEntry(number, has_late))]


def _write_readable(
    state: State, files: Sequence[ChunksFile], write: Callable[[Sequence[ChunksFile]], Written]
) -> tuple[Written, Sequence[ChunksFile]]:
    """What `write` makes of some files; where they are damaged, of what can be read of them, which is returned too."""
    cache = state.cache.passing()
    try:
        return write([file.through(cache) for file in files]), files
    except CorruptionError:
        readable = [without_damage(state, file) for file in files]
        if all(left is file for left, file in zip(readable, files, strict=True)):
            raise
    return write([file.through(cache) for file in readable]), readable


def _ranges(runs: Sequence[ChunksFile], until_ms: int) -> list[int]:
    """The beginnings of the two-hour ranges before a time in which some run has samples."""
    starts = {start_ms for run in runs for start_ms in run.stretches(BLOCK_MS).tolist()}
    return sorted(start_ms for start_ms in starts if start_ms < until_ms)


def merge_runs(state: State) -> None:
    """All runs become one."""
    runs = state.sealed.runs
    merged = _rewrite_runs(state, runs)
    with state.lock:
        former = {run.number for run in runs}
        later = [run for run in state.sealed.runs if run.number not in former]
        entries = [entry for entry in state.manifest.runs if entry.number not in former]
        sealed = Sealed(state.sealed.blocks, tuple([run for run, _ in merged] + later))
        state.settle(sealed, runs=tuple([entry for _, entry in merged] + entries))
    for run in runs:
        state.disk.remove(run.path)


def merge_blocks(state: State) -> None:
    """Merge until nothing is due."""
    while True:
        chosen = _choose_merge(state)
        if not chosen:
            return
        merge(state, chosen)


def _choose_merge(state: State) -> Sequence[Block]:
    """Blocks to merge next: those that overlap, then those that fill a larger range, the smallest range first."""
    blocks = state.sealed.blocks
    overlapping = _overlapping(blocks)
    if overlapping:
        return overlapping
    newest_end = max((block.meta.max_time for block in blocks), default=0)
    bytes_max = state.settings.retention_bytes / RETENTION_SHARE or math.inf
    range_ms = BLOCK_MS * MERGE_FACTOR
    while range_ms <= min(state.settings.retention_ms // RETENTION_SHARE, BLOCK_RANGE_MS_MAX):
        by_range: dict[int, list[Block]] = {}
        for block in blocks:
            start = block.meta.min_time // range_ms * range_ms
            if block.meta.max_time <= start + range_ms and start + range_ms <= newest_end:
                by_range.setdefault(start, []).append(block)
        for start in sorted(by_range):
            if len(by_range[start]) > 1 and sum(block.bytes for block in by_range[start]) <= bytes_max:
                return by_range[start]
        range_ms *= MERGE_FACTOR
    return ()


def _overlapping(blocks: Sequence[Block]) -> list[Block]:
    ordered = sorted(blocks, key=lambda block: (block.meta.min_time, block.meta.max_time))
    for i, block in enumerate(ordered):
        touching = [other for other in ordered[i + 1 :] if other.meta.min_time < block.meta.max_time]
        if touching:
            chosen = [block, *touching]
            return [one for one in blocks if one in chosen]
    return []


def merge(state: State, chosen: Sequence[Block]) -> None:
    """Some blocks become one; of equal timestamps the one in the later block counts."""
    start_ms, end_ms = min(b.meta.min_time for b in chosen), max(b.meta.max_time for b in chosen)

    def write(files: Sequence[ChunksFile]) -> Block | None:
        views = [
            View(block.index, (file,), (), state.manifest.deletions) for block, file in zip(chosen, files, strict=True)
        ]
        return write_block(
            state.disk, state.folder, state.next_number(), views, start_ms, end_ms,
            max(b.meta.level for b in chosen) + 1, tuple(b.meta.number for b in chosen), state.lock, state.cache,
        )  # fmt: skip

    block, _ = _write_readable(state, [block.chunks for block in chosen], write)
    replace_blocks(state, chosen, [block] if block is not None else [])
    state.telemetry.compactions.add(1, "blocks")


def replace_blocks(state: State, former: Sequence[Block], others: Sequence[Block]) -> None:
    """Other blocks take the place of some; the folders of these go."""
    with state.lock:
        blocks: list[Block] = []
        for block in state.sealed.blocks:
            if block is former[-1]:
                blocks.extend(others)
            if not any(block is one for one in former):
                blocks.append(block)
        state.settle(Sealed(tuple(blocks), state.sealed.runs), blocks=tuple(block.meta.number for block in blocks))
    for block in former:
        state.disk.remove(block.folder)
