"""One commit as bytes: the body of a WAL record. docs/formats/wal.md has the layout.

A record is readable alone: it refers to series by number and brings the label keys of those that were made for it.
"""

import struct
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.model.metadata import Metadata
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.kernels.records import decode_cells, encode_cells
from nunchi.tsdb.wal import Span

# series made, bytes of their keys, rows, cells in order, other cells, bytes of metadata, bytes of marks
HEADER = struct.Struct("<IIIIIII")


@dataclass(slots=True, eq=False)
class Commit:
    """What becomes visible together.

    series, keys, ends  refs of new series, their label keys one after the other, int64[n + 1] where each begins, and the end
    refs, times, values  cells in the order of their series
    late_*              cells that are late or replace others
    marks               by key, what writers want to know again; an empty one is forgotten
    """

    series: NDArray[np.int32]
    keys: bytes
    ends: NDArray[np.int64]
    refs: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    late_refs: NDArray[np.int32]
    late_times: NDArray[np.int64]
    late_values: NDArray[np.float64]
    metadata: dict[str, Metadata]
    marks: dict[str, bytes] = field(default_factory=dict)


def span_of(commit: Commit, places: int) -> Span:
    """What a record of the log says of a commit without being read."""
    times = [part for part in (commit.times, commit.late_times) if len(part)]
    if not times:
        return Span(places=places)
    return Span(min(int(part.min()) for part in times), max(int(part.max()) for part in times), places)


def encode_commit(commit: Commit) -> bytes:
    """The body of a record."""
    rows, cells = encode_cells(commit.refs, commit.times, np.ascontiguousarray(commit.values))
    metadata = msgspec.json.encode(commit.metadata) if commit.metadata else b""
    marks = msgspec.msgpack.encode(commit.marks) if commit.marks else b""
    head = HEADER.pack(
        len(commit.series), len(commit.keys), rows, len(commit.refs), len(commit.late_refs), len(metadata), len(marks)
    )
    if len(commit.series) == len(commit.late_refs) == 0:
        return head + cells + metadata + marks
    sizes = np.diff(commit.ends).astype(np.uint32)
    late = commit.late_refs.tobytes() + commit.late_times.tobytes() + commit.late_values.tobytes()
    return b"".join((head, commit.series.tobytes(), sizes.tobytes(), commit.keys, cells, late, metadata, marks))


def decode_plain(
    body: bytes, refs: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64], at: int
) -> int | None:
    """Cells in order to `refs[at:]` and so on: how many. None where there is no room for them, or the body says more than that.

    Raises `CorruptionError`.
    """
    if len(body) < HEADER.size:
        raise CorruptionError("a record of the WAL has no header")
    made, _, rows, cells, late, metadata, marks = HEADER.unpack_from(body)
    if made or late or metadata or marks or at + cells > len(refs):
        return None
    if not decode_cells(body, HEADER.size, rows, cells, refs, times, values, at):
        raise CorruptionError("a record of the WAL does not add up")
    return int(cells)


class _Cursor:
    def __init__(self, body: bytes, at: int) -> None:
        self._body = body
        self._at = at

    def take(self, dtype: str, count: int) -> NDArray[np.generic]:
        end = self._at + count * np.dtype(dtype).itemsize
        if end > len(self._body):
            raise CorruptionError("a record of the WAL is shorter than it says")
        taken = np.frombuffer(self._body, dtype, count, self._at)
        self._at = end
        return taken

    def planes(self, dtype: str, count: int) -> NDArray[np.generic]:
        size = np.dtype(dtype).itemsize
        return np.ascontiguousarray(self.take("u1", count * size).reshape(size, count).T).view(dtype).reshape(count)


def decode_commit(body: bytes) -> Commit:
    """The inverse of `encode_commit`; raises `CorruptionError`."""
    if len(body) < HEADER.size:
        raise CorruptionError("a record of the WAL has no header")
    made, key_bytes, rows, cells, late, metadata_bytes, mark_bytes = HEADER.unpack_from(body)
    cursor = _Cursor(body, HEADER.size)
    series = cursor.take("<i4", made)
    sizes = cursor.take("<u4", made)
    keys = cursor.take("u1", key_bytes)
    row_times, row_counts = cursor.planes("<i8", rows), cursor.planes("<u4", rows)
    refs, values = cursor.planes("<i4", cells), cursor.planes("<f8", cells)
    late_refs, late_times, late_values = cursor.take("<i4", late), cursor.take("<i8", late), cursor.take("<f8", late)
    metadata = cursor.take("u1", metadata_bytes).tobytes()
    marks = cursor.take("u1", mark_bytes).tobytes()
    ends = np.zeros(made + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    times = np.repeat(row_times, row_counts.astype(np.int64))
    if len(times) != cells or ends[-1] != key_bytes:
        raise CorruptionError("a record of the WAL does not add up")
    return Commit(
        series.astype(np.int32), keys.tobytes(), ends, np.cumsum(refs, dtype=np.int32), times.astype(np.int64),
        values.astype(np.float64), late_refs.astype(np.int32), late_times.astype(np.int64),
        late_values.astype(np.float64), msgspec.json.decode(metadata, type=dict[str, Metadata]) if metadata else {},
        msgspec.msgpack.decode(marks, type=dict[str, bytes]) if marks else {},
    )  # fmt: skip
