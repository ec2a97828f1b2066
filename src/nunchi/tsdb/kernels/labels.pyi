from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
Bytes: TypeAlias = NDArray[np.uint8]

def intern_keys(
    keys: Bytes,
    ends: Longs,
    symbol_bytes: Bytes,
    symbol_ends: Longs,
    symbol_slots: Ints,
    pair_names: Ints,
    pair_values: Ints,
    pair_slots: Ints,
    series_begins: Longs,
    series_lengths: Ints,
    series_pairs: Ints,
    series_hashes: Words,
    series_metrics: Ints,
    series_slots: Ints,
    created: Ints,
    free: Ints,
    counts: Longs,
    refs: Ints,
    fixed: Ints | None,
) -> int: ...
def put_slots(hashes: Words, refs: Ints, slots: Ints) -> None: ...
def symbol_hashes(symbol_bytes: Bytes, symbol_ends: Longs) -> Words: ...
def fill_symbol_slots(symbol_bytes: Bytes, symbol_ends: Longs, count: int, slots: Ints) -> None: ...
def fill_pair_slots(pair_names: Ints, pair_values: Ints, count: int, slots: Ints) -> None: ...
def find_symbol(text: bytes, symbol_bytes: Bytes, symbol_ends: Longs, slots: Ints) -> int: ...
def find_pair(name: int, value: int, pair_names: Ints, pair_values: Ints, slots: Ints) -> int: ...
def hash_keys(keys: Bytes, ends: Longs, hashes: Words) -> None: ...
def build_postings(
    created: Ints, series_begins: Longs, series_lengths: Ints, series_pairs: Ints, offsets: Longs, postings: Ints
) -> None: ...
def gather(items: Longs, offsets: Longs, source: Ints, out: Ints) -> int: ...
def filter_series(
    candidates: Ints,
    series_begins: Longs,
    series_lengths: Ints,
    series_pairs: Ints,
    fates: Bytes,
    matches_empty: bool,
    kept: Ints,
) -> int: ...
def pick_owners(
    refs: Ints,
    series_begins: Longs,
    series_lengths: Ints,
    series_pairs: Ints,
    keys: Ints,
    wanted: int,
    owners: Ints,
) -> None: ...
def match_text(
    text: bytes, before: int, after: int, symbols: Ints, symbol_bytes: Bytes, symbol_ends: Longs, matched: Bytes
) -> None: ...
def sort_series(offsets: Longs, name_ranks: Ints, value_ranks: Ints, order: Longs) -> None: ...
def key_bytes(
    refs: Ints,
    series_begins: Longs,
    series_lengths: Ints,
    series_pairs: Ints,
    pair_names: Ints,
    pair_values: Ints,
    symbol_bytes: Bytes,
    symbol_ends: Longs,
) -> tuple[bytes, list[int]]: ...
def find_hashes(wanted: Words, hashes: Words, slots: Ints, refs: Ints) -> None: ...
