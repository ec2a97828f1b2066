"""One commit as bytes: the body of a WAL record. docs/formats/wal.md has the layout.

A record is readable alone: it refers to series by number and brings the label keys of those that were made for it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata
from nunchi.tsdb.cells import Cells
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.histogram_records import decode_histograms, decode_numbers, encode_histograms, encode_numbers
from nunchi.tsdb.kernels.records import decode_cells, encode_cells
from nunchi.tsdb.references import are_references, numbers_of, without_references
from nunchi.tsdb.wal import Span

# series made, bytes of their keys, rows, cells in order, other cells, bytes of metadata, bytes of marks
HEADER = struct.Struct("<IIIIIII")
# kind, bytes
SECTION = struct.Struct("<BI")
HISTOGRAMS, LATE_HISTOGRAMS, STARTS, LATE_STARTS, EXEMPLARS = range(1, 6)
"""What may follow the marks, a section each."""


@dataclass(slots=True, eq=False)
class Commit:
    """What becomes visible together.

    series, keys, ends  refs of new series, their label keys one after the other, int64[n + 1] where each begins, and the end
    cells               in the order of their series
    late                cells that are late or replace others
    marks               by key, what writers want to know again; an empty one is forgotten
    exemplars           with the label key of the series of each
    """

    series: NDArray[np.int32]
    keys: bytes
    ends: NDArray[np.int64]
    cells: Cells
    late: Cells
    metadata: dict[str, Metadata]
    marks: Mapping[str, bytes] = field(default_factory=dict)
    exemplars: tuple[tuple[bytes, Exemplar], ...] = ()


def encode_commit(commit: Commit, places: int) -> tuple[bytes, Span]:
    """The body of a record, and what is said of it beside it: all its series_refs are below `places`."""
    taken, late = commit.cells, commit.late
    rows, oldest_ms, newest_ms, cells = encode_cells(taken.refs, taken.times, np.ascontiguousarray(taken.values))
    metadata = msgspec.json.encode(commit.metadata) if commit.metadata else b""
    marks = msgspec.msgpack.encode(commit.marks) if commit.marks else b""
    is_plain = taken.is_plain and late.is_plain and not commit.exemplars
    sections = b"" if is_plain else _encode_sections(commit)
    head = HEADER.pack(
        len(commit.series), len(commit.keys), rows, len(taken.refs), len(late.refs), len(metadata), len(marks)
    )
    if len(commit.series) == len(late.refs) == 0:
        return head + cells + metadata + marks + sections, Span(oldest_ms, newest_ms, places)
    if len(late.times):
        oldest_ms, newest_ms = min(oldest_ms, int(late.times.min())), max(newest_ms, int(late.times.max()))
    sizes = np.diff(commit.ends).astype(np.uint32)
    late_bytes = late.refs.tobytes() + late.times.tobytes() + late.values.tobytes()
    made = (commit.series.tobytes(), sizes.tobytes(), commit.keys)
    body = b"".join((head, *made, cells, late_bytes, metadata, marks, sections))
    return body, Span(oldest_ms, newest_ms, places)


def _encode_sections(commit: Commit) -> bytes:
    parts = []
    for cells, histograms, starts in ((commit.cells, HISTOGRAMS, STARTS), (commit.late, LATE_HISTOGRAMS, LATE_STARTS)):
        if cells.histograms is not None:
            content = encode_histograms(cells.histograms)
            parts += [SECTION.pack(histograms, len(content)), content]
        if cells.starts is not None:
            content = encode_numbers(cells.starts.astype(np.float64))
            parts += [SECTION.pack(starts, len(content)), content]
    if commit.exemplars:
        rows = [
            (key, one.labels.key(), one.value, one.timestamp_ms, one.has_timestamp) for key, one in commit.exemplars
        ]
        content = msgspec.msgpack.encode(rows)
        parts += [SECTION.pack(EXEMPLARS, len(content)), content]
    return b"".join(parts)


def _decode_exemplars(content: bytes) -> tuple[tuple[bytes, Exemplar], ...]:
    try:
        rows = msgspec.msgpack.decode(content, type=list[tuple[bytes, bytes, float, int, bool]])
    except msgspec.MsgspecError as error:
        raise CorruptionError(f"exemplars of a record of the WAL: {error}") from None
    return tuple(
        (key, Exemplar(Labels.from_key(labels), value, timestamp_ms, has_timestamp))
        for key, labels, value, timestamp_ms, has_timestamp in rows
    )


def _with_sections(cells: Cells, sections: dict[int, bytes], histograms: int, starts: int) -> Cells:
    """Cells with what stands in the sections of these kinds."""
    if starts in sections:
        since, _ = decode_numbers(sections[starts], 0, len(cells.refs))
        cells = cells._replace(starts=since.astype(np.int64))
    if histograms not in sections:
        return cells._replace(values=without_references(cells.values))
    found = decode_histograms(sections[histograms])
    numbers = numbers_of(cells.values[are_references(cells.values)])
    if len(numbers) and numbers.max() >= len(found):
        raise CorruptionError("a record of the WAL lacks a histogram")
    return cells._replace(histograms=found)


def makes_series(body: bytes) -> bool:
    """Whether a record brings label keys, without decoding it."""
    return body[:4] != bytes(4)


def decode_plain(
    body: bytes, refs: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64], at: int
) -> int | None:
    """Cells in order to `refs[at:]` and so on: how many. None where there is no room for them, or the body says more than that.

    Raises `CorruptionError`.
    """
    if len(body) < HEADER.size:
        raise CorruptionError("a record of the WAL has no header")
    made, _, rows, cells, late, metadata, marks = HEADER.unpack_from(body)
    is_longer = len(body) > HEADER.size + 12 * (rows + cells)
    if made or late or metadata or marks or is_longer or at + cells > len(refs):
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

    def sections(self) -> dict[int, bytes]:
        """What is left, by kind; kinds that are not known are passed over."""
        found = {}
        while self._at < len(self._body):
            if self._at + SECTION.size > len(self._body):
                raise CorruptionError("a record of the WAL is longer than it says")
            kind, size = SECTION.unpack_from(self._body, self._at)
            self._at += SECTION.size
            found[kind] = self.take("u1", size).tobytes()
        return found

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
    sections = cursor.sections()
    ends = np.zeros(made + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    times = np.repeat(row_times, row_counts.astype(np.int64))
    if len(times) != cells or ends[-1] != key_bytes:
        raise CorruptionError("a record of the WAL does not add up")
    taken = Cells(np.cumsum(refs, dtype=np.int32), times.astype(np.int64), values.astype(np.float64))
    behind = Cells(late_refs.astype(np.int32), late_times.astype(np.int64), late_values.astype(np.float64))
    return Commit(
        series.astype(np.int32), keys.tobytes(), ends,
        _with_sections(taken, sections, HISTOGRAMS, STARTS),
        _with_sections(behind, sections, LATE_HISTOGRAMS, LATE_STARTS),
        msgspec.json.decode(metadata, type=dict[str, Metadata]) if metadata else {},
        msgspec.msgpack.decode(marks, type=dict[str, bytes]) if marks else {},
        _decode_exemplars(sections[EXEMPLARS]) if EXEMPLARS in sections else (),
    )  # fmt: skip
