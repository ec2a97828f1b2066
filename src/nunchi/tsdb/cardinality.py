"""The cardinality of the head: pairs counted over the arrays of its index, no Python work a series."""

from collections.abc import Sequence

import numpy as np

from nunchi.model.matchers import Matcher
from nunchi.storage.cardinality import Cardinality, Pairs, count_pairs
from nunchi.tsdb.reading import expand
from nunchi.tsdb.series_table import METRIC_NAME_SYMBOL
from nunchi.tsdb.state import State


def head_cardinality(state: State, selectors: Sequence[Sequence[Matcher]], rows: int) -> Cardinality:
    """Of the series with samples in the head; see `CardinalitySource.cardinality`."""
    with state.lock:
        state.check_loaded()
        index = state.head_index()
        runs = state.sealed.runs
        generations = [generation for generation in state.head.generations if not generation.is_empty]
        parts = [generation.live_refs() for generation in generations]
        spans = [(file.min_time, file.max_time) for file in runs if file.samples]
        spans += [(generation.min_time, generation.max_time) for generation in generations]
    is_live = np.zeros(len(index.begins), np.bool_)
    for ids in (*(run.ids for run in runs), *parts):
        is_live[ids[ids < len(is_live)]] = True
    if selectors:
        matched = np.zeros(len(is_live), np.bool_)
        for matchers in selectors:
            matched[index.select(matchers)] = True
        is_live &= matched
    refs = np.flatnonzero(is_live)
    lengths = index.lengths[refs].astype(np.int64)
    begins = index.begins[refs]
    places = expand(np.stack([begins, begins + lengths], axis=1).reshape(-1), 2 * np.arange(len(refs)))
    counts = np.bincount(index.pairs[places], minlength=len(index.pair_names))
    used = np.flatnonzero(counts)
    pairs = Pairs(index.pair_names[used].astype(np.int64), index.pair_values[used].astype(np.int64), counts[used])
    sizes = np.diff(index.symbol_ends, prepend=np.int64(0))
    found = count_pairs(
        pairs, sizes, METRIC_NAME_SYMBOL, rows, lambda symbols: index.texts(np.array(symbols, np.int64))
    )
    found.series = len(refs)
    found.chunks = sum(
        len(np.intersect1d(ids, refs, assume_unique=True)) for ids in (*(run.ids for run in runs), *parts)
    )
    if spans:
        found.min_time_ms, found.max_time_ms = min(first for first, _ in spans), max(last for _, last in spans)
    return found
