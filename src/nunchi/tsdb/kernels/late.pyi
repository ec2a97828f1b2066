from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]

def number_places(refs: Ints, times: Longs, slots: Ints, places: Ints) -> None: ...
def note_stored(
    refs: Ints,
    times: Longs,
    contents: Words,
    own_refs: Ints,
    own_times: Longs,
    slots: Ints,
    is_known: Bytes,
    held: Words,
) -> None: ...
def judge_late(
    places: Ints,
    contents: Words,
    is_too_late: Bytes,
    says_more: Bytes,
    replaces: bool,
    is_known: Bytes,
    held: Words,
    fates: Bytes,
) -> None: ...
def note_pending(
    refs: Ints,
    times: Longs,
    values: Floats,
    last_times: Longs,
    pending: Ints,
    pending_times: Longs,
    pending_bits: Words,
    owner: int,
) -> None: ...
def note_newest(refs: Ints, times: Longs, values: Floats, last_times: Longs, last_bits: Words) -> None: ...
def merge_places(older_refs: Ints, older_times: Longs, newer_refs: Ints, newer_times: Longs, chosen: Longs) -> int: ...
def cut_columns(
    times: Longs, offsets: Longs, columns: Longs, start_ms: int, end_ms: int, begins: Longs, ends: Longs
) -> None: ...
