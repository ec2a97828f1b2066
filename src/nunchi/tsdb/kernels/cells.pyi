from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]

def judge(
    refs: Ints,
    row_timestamps: Longs,
    row_offsets: Longs,
    values: Floats,
    last_times: Longs,
    last_bits: Words,
    pending: Ints,
    pending_times: Longs,
    pending_bits: Words,
    owner: int,
    oldest_ms: int,
    newest_ms: int,
    replaces: bool,
    times: Longs,
    lasts: Longs,
    fates: Bytes,
) -> tuple[int, int, int]: ...
def remember(
    refs: Ints, times: Longs, values: Floats, pending: Ints, pending_times: Longs, pending_bits: Words, owner: int
) -> None: ...
def put(
    refs: Ints,
    times: Longs,
    values: Floats,
    starts: Longs,
    last_times: Longs,
    last_bits: Words,
    counts: Ints,
    first_slabs: Ints,
    last_slabs: Ints,
    hashes: Words,
    slab_times: Longs,
    slab_values: Floats,
    slab_starts: Longs,
    slab_next: Ints,
    slabs: int,
    refused: Longs,
) -> tuple[int, int, int, int]: ...
def hash_rows(
    refs: Ints, counts: Ints, first_slabs: Ints, slab_times: Longs, slab_next: Ints, hashes: Words
) -> None: ...
def rows_within(
    refs: Ints,
    counts: Ints,
    first_slabs: Ints,
    slab_times: Longs,
    slab_next: Ints,
    start_ms: int,
    end_ms: int,
    begins: Longs,
    ends: Longs,
    first_times: Longs,
    last_times: Longs,
) -> None: ...
def copy_rows(
    refs: Ints,
    begins: Longs,
    ends: Longs,
    targets: Longs,
    first_slabs: Ints,
    slab_rows: Floats | Longs,
    slab_next: Ints,
    out: Floats | Longs,
) -> None: ...
def sign_vectors(offsets: Longs, vectors: Longs, begins: Longs, ends: Longs, signatures: Longs) -> int: ...
def cut_vectors(
    times: Floats,
    offsets: Longs,
    start_ms: int,
    end_ms: int,
    begins: Longs,
    ends: Longs,
    first_times: Longs,
    last_times: Longs,
) -> None: ...
def put_times(found: Floats, offsets: Longs, targets: Longs, times: Longs) -> None: ...
def number_vectors(
    signatures: NDArray[np.int64], series: NDArray[np.int64], seen: NDArray[np.int32], numbers: NDArray[np.int32]
) -> NDArray[np.int64]: ...
def merge_overlapping(offsets: Longs, times: Longs, out_offsets: Longs, chosen: Longs) -> int: ...
