"""A block of Prometheus as a source of samples, two hours at a time.

Invariant: what its tombstones delete is not given; a damaged chunk costs its own samples and is named.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk, MappedFile
from nunchi.model.batch import Batch
from nunchi.model.series_group import Layout
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.progress import Progress
from nunchi.wire.errors import WireError
from nunchi.wire.prometheus_chunks import SEGMENT_MAGIC, ChunkSamples, check_header, decode_chunks, locate_chunks
from nunchi.wire.prometheus_index import Tombstone, parse_index, parse_tombstones

BATCH_CHUNKS = 4096  # of about 120 samples each
META, INDEX, CHUNKS, TOMBSTONES = "meta.json", "index", "chunks", "tombstones"
FROM_OUT_OF_ORDER = "from-out-of-order"

Longs = NDArray[np.int64]


class Compaction(msgspec.Struct, frozen=True):
    """How a block came to be."""

    level: int = 1
    hints: tuple[str, ...] = ()


class PrometheusMeta(msgspec.Struct, frozen=True, rename="camel"):
    """What a block says of itself: [minTime, maxTime) in milliseconds."""

    version: int
    min_time: int
    max_time: int
    compaction: Compaction = Compaction()

    @property
    def is_late(self) -> bool:
        """Whether it holds samples that came out of order."""
        return FROM_OUT_OF_ORDER in self.compaction.hints


def load_meta(folder: Path) -> PrometheusMeta:
    """The meta.json of a block; raises `UnfitFolder`."""
    path = folder / META
    try:
        meta = msgspec.json.decode(path.read_bytes(), type=PrometheusMeta)
    except (OSError, msgspec.MsgspecError) as error:
        raise UnfitFolder(f"{path} cannot be read: {error}") from None
    if meta.version != 1:
        raise UnfitFolder(f"{path} has version {meta.version}, this nunchi reads 1: use a newer one")
    return meta


class PrometheusBlock:
    """A block that is being read: everything but samples is in memory."""

    def __init__(self, disk: Disk, folder: Path, meta: PrometheusMeta) -> None:
        self.folder = folder
        self.meta = meta
        self.remarks: list[str] = []
        self._files: list[MappedFile] = []
        index = parse_index(_array(disk.read(folder / INDEX)))
        self._layout = Layout()
        for key in index.keys:
            self._layout.append(key)
        self._series = np.repeat(np.arange(len(index.keys)), np.diff(index.chunk_offsets))
        self._begin_times, self._end_times, self._refs = index.begin_times, index.end_times, index.chunk_refs
        self._tombstones = self._load_tombstones(disk, index.refs)
        self._segments = self._map_segments(disk)
        self.bytes = sum(len(segment) for segment in self._segments if segment is not None)

    def _load_tombstones(self, disk: Disk, refs: Longs) -> dict[int, list[Tombstone]]:
        path = self.folder / TOMBSTONES
        if disk.size(path) is None:
            return {}
        try:
            found = parse_tombstones(disk.read(path))
        except WireError as error:
            raise UnfitFolder(f"{path}: {error}; what was deleted of the block is not known: restore it") from None
        numbers = {ref: number for number, ref in enumerate(refs.tolist())}
        by_series: dict[int, list[Tombstone]] = {}
        for tombstone in found:
            if tombstone.ref in numbers:
                by_series.setdefault(numbers[tombstone.ref], []).append(tombstone)
        return by_series

    def _map_segments(self, disk: Disk) -> list[NDArray[np.uint8] | None]:
        segments: list[NDArray[np.uint8] | None] = []
        for name in disk.list(self.folder / CHUNKS):
            path = self.folder / CHUNKS / name
            if not name.isdigit():
                continue
            segments.extend([None] * (int(name) - 1 - len(segments)))
            mapped = disk.map(path)
            data = np.frombuffer(mapped.view, np.uint8)
            try:
                check_header(data, SEGMENT_MAGIC)
            except WireError as error:
                self.remarks.append(f"{path}: {error}; its samples are lost")
                segments.append(None)
                continue
            self._files.append(mapped)
            segments.append(data)
        return segments

    def windows(self, width_ms: int) -> set[int]:
        """Beginnings of the stretches of time in which it may have samples."""
        starts = self._begin_times // width_ms
        ends = self._end_times // width_ms
        found = set(np.unique(np.concatenate([starts, ends])).tolist())
        for place in np.flatnonzero(ends - starts > 1).tolist():
            found.update(range(int(starts[place]), int(ends[place])))
        return {number * width_ms for number in found}

    def batches(self, start_ms: int, end_ms: int, progress: Progress) -> Iterator[Batch]:
        """Samples in [start_ms, end_ms), series after series."""
        chosen = np.flatnonzero((self._begin_times < end_ms) & (self._end_times >= start_ms))
        for first in range(0, len(chosen), BATCH_CHUNKS):
            some = chosen[first : first + BATCH_CHUNKS]
            segments = self._refs[some] >> 32
            for segment in np.unique(segments).tolist():
                batch, size = self._read(some[segments == segment], segment, start_ms, end_ms)
                progress.advance(size, len(batch))
                if len(batch):
                    yield batch

    def _read(self, chunks: Longs, segment: int, start_ms: int, end_ms: int) -> tuple[Batch, int]:
        data = self._segments[segment] if segment < len(self._segments) else None
        if data is None:
            self._lose(chunks, f"segment {segment + 1:06} of its chunks is missing or unreadable")
            return self._batch(
                chunks[:0], decode_chunks(np.zeros(1, np.uint8), chunks[:0], chunks[:0], _array(b"")), 0, 0
            ), 0
        places = self._refs[chunks] & 0xFFFFFFFF
        begins, sizes, good = locate_chunks(data, places)
        if not good.all():
            at = int(places[np.argmin(good)])
            self._lose(chunks[~good], f"the chunk at byte {at} of segment {segment + 1:06} fails its checksum")
            chunks, begins, sizes = chunks[good], begins[good], sizes[good]
        samples = decode_chunks(data, begins + 1, sizes, data[begins])
        if samples.lost.any():
            encoding = int(data[begins[np.argmax(samples.lost)]])
            self._lose(chunks[samples.lost], f"a chunk of encoding {encoding} is not understood")
        return self._batch(chunks, samples, start_ms, end_ms), int(sizes.sum())

    def _batch(self, chunks: Longs, samples: ChunkSamples, start_ms: int, end_ms: int) -> Batch:
        columns = self._series[chunks[samples.chunk_of]]
        kept = (samples.times >= start_ms) & (samples.times < end_ms)
        if self._tombstones:
            for series in np.intersect1d(columns, np.array(list(self._tombstones), np.int64)).tolist():
                own = columns == series
                for tombstone in self._tombstones[series]:
                    kept &= ~(own & (samples.times >= tombstone.start_ms) & (samples.times <= tombstone.end_ms))
        histogram_of = samples.histogram_of
        return Batch.cells(
            self._layout, samples.times[kept], columns[kept].astype(np.int32), samples.values[kept],
            histogram_of=None if histogram_of is None else histogram_of[kept], histograms=samples.histograms,
        )  # fmt: skip

    def _lose(self, chunks: Longs, reason: str) -> None:
        series = len(np.unique(self._series[chunks]))
        text = f"{self.folder}: {reason}; {len(chunks)} chunks of {series} series are lost"
        if text not in self.remarks:
            self.remarks.append(text)

    def close(self) -> None:
        """Give the memory back."""
        self._segments = []
        for mapped in self._files:
            mapped.close()


def _array(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
