"""Whose samples in a folder are newer than the clock: senders whose clocks are ahead. They alone wait while a database loads.

Invariant: what is found names every such series; where that cannot be told, nothing is found.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import DiskMissing
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.commits import decode_commit, makes_series
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.loading import Ahead
from nunchi.tsdb.series_log import read_series
from nunchi.tsdb.state import State
from nunchi.tsdb.wal import NO_TIME_MAX, Survey, newest_by_record, read_surveyed

AHEAD_SERIES_MAX = 100_000

Refs = NDArray[np.int32]


def find_ahead(
    state: State, surveys: Sequence[Survey], blocks: Sequence[Block], runs: Sequence[ChunksFile]
) -> Ahead | None:
    """None where it cannot be told: a block reaches beyond the clock, too many series do, or something is damaged."""
    now_ms = state.clock.now_ms()
    if any(block.chunks.max_time > now_ms for block in blocks):
        return None
    counted = [survey for survey in surveys if survey.number >= state.manifest.first_segment]
    others_newest_ms = max([NO_TIME_MAX, *(block.chunks.max_time for block in blocks)])
    refs: list[Refs] = []
    try:
        for ids, times in (*_of_runs(runs), *_of_log(state, counted, now_ms)):
            is_ahead = times > now_ms
            refs.append(ids[is_ahead])
            others_newest_ms = max(others_newest_ms, int(times[~is_ahead].max(initial=NO_TIME_MAX)))
        wanted = np.unique(np.concatenate(refs)) if refs else np.zeros(0, np.int32)
        if len(wanted) > AHEAD_SERIES_MAX:
            return None
        return Ahead(frozenset(_keys_of(state, counted, wanted)), others_newest_ms)
    except (CorruptionError, DiskMissing):
        return None


def _of_runs(runs: Sequence[ChunksFile]) -> Iterator[tuple[Refs, NDArray[np.int64]]]:
    for run in runs:
        yield run.ids, run.newest_times()


def _of_log(state: State, surveys: Sequence[Survey], now_ms: int) -> Iterator[tuple[Refs, NDArray[np.int64]]]:
    """Cells of the records that have some newer than the clock; of each of the others its newest time, without a series."""
    for survey in surveys:
        newest = np.array(newest_by_record(state.disk, state.folder, survey), np.int64)
        is_ahead = newest > now_ms
        yield np.zeros(len(newest) - int(is_ahead.sum()), np.int32), newest[~is_ahead]
        begins = np.array(survey.begins, np.int64)[is_ahead].tolist()
        for body in read_surveyed(state.disk, state.folder, survey, begins):
            commit = decode_commit(body)
            for cells in (commit.cells, commit.late):
                yield cells.refs, cells.times


def _keys_of(state: State, surveys: Sequence[Survey], wanted: Refs) -> Iterator[bytes]:
    """All that is said to be the label keys of some series."""
    if len(wanted) == 0:
        return
    manifest = state.manifest
    if manifest.series:
        for refs, keys, ends in read_series(state.disk, state.folder.series(manifest.series), manifest.series_bytes):
            yield from _chosen(refs, keys, ends, wanted)
    for survey in surveys:
        for body in read_surveyed(state.disk, state.folder, survey):
            if makes_series(body):
                commit = decode_commit(body)
                yield from _chosen(commit.series, commit.keys, commit.ends, wanted)


def _chosen(refs: Refs, keys: bytes, ends: NDArray[np.int64], wanted: Refs) -> Iterator[bytes]:
    for place in np.flatnonzero(np.isin(refs, wanted)).tolist():
        yield keys[int(ends[place]) : int(ends[place + 1])]
