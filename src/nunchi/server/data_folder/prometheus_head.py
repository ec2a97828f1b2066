"""The head of a Prometheus data folder as a source of samples: its log, the log of late samples, and mapped head chunks.

Head chunks repeat what the log had, so they come first and the log gives what is newer. Invariant: samples that some block
already has, and samples that a deletion in the log covers, are not given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.batch import Batch
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT
from nunchi.server.data_folder.folder import PROMETHEUS_HEAD
from nunchi.server.data_folder.progress import Progress
from nunchi.wire import prometheus_log as log
from nunchi.wire.errors import DamagedFile, WireError
from nunchi.wire.prometheus_chunks import OUT_OF_ORDER, decode_chunks, head_encodings, scan_head_chunks
from nunchi.wire.prometheus_index import Tombstone

BATCH_CELLS = 1 << 19
NEVER = -(2**63)
CHECKPOINT = "checkpoint."

Longs = NDArray[np.int64]


@dataclass(slots=True)
class Waiting:
    """Samples of log records until they are a batch."""

    refs: list[Longs] = field(default_factory=list)
    times: list[Longs] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    histogram_of: list[NDArray[np.int32]] = field(default_factory=list)
    histograms: list[HistogramColumns] = field(default_factory=list)
    cells: int = 0
    histogram_cells: int = 0

    def put(self, samples: log.LogSamples) -> None:
        """Numbers."""
        self._put(samples.refs, samples.times, samples.values, np.full(len(samples.refs), FLOAT, np.int32))

    def put_histograms(self, refs: Longs, times: Longs, histograms: HistogramColumns) -> None:
        """Histograms."""
        numbers = np.arange(len(refs), dtype=np.int32) + self.histogram_cells
        self._put(refs, times, np.full(len(refs), ABSENT), numbers)
        self.histograms.append(histograms)
        self.histogram_cells += len(refs)

    def _put(self, refs: Longs, times: Longs, values: NDArray[np.float64], histogram_of: NDArray[np.int32]) -> None:
        self.refs.append(refs)
        self.times.append(times)
        self.values.append(values)
        self.histogram_of.append(histogram_of)
        self.cells += len(refs)


class PrometheusHead:
    """The head of one data folder. `min_valid_ms`: older samples are in blocks."""

    def __init__(self, disk: Disk, folder: Path, min_valid_ms: int) -> None:
        self._disk = disk
        self._folder = folder
        self._min_valid_ms = min_valid_ms
        self.remarks: list[str] = []
        self._layout = Layout()
        self._columns = np.zeros(1, np.int32)  # by place in `_known`
        self._known = np.zeros(0, np.int64)
        self._mapped_until = np.zeros(0, np.int64)
        self._tombstones: list[Tombstone] = []
        self._metadata: dict[str, Metadata] = {}
        self._segments = log_segments(disk, folder / "wal")
        self._late_segments = log_segments(disk, folder / "wbl")
        head = folder / PROMETHEUS_HEAD
        self._chunk_files = [head / name for name in disk.list(head) if name.isdigit()] if head.is_dir() else []
        paths = [*self._segments, *self._segments, *self._late_segments, *self._chunk_files]
        self.bytes = sum(disk.size(path) or 0 for path in paths)

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """All samples of the head: mapped chunks, then the log, then the log of late samples."""
        self._read_series(progress)
        for path in self._chunk_files:
            yield from self._mapped(path, progress)
        yield from self._logged(self._segments, progress, is_late=False)
        yield from self._logged(self._late_segments, progress, is_late=True)

    def _read_series(self, progress: Progress) -> None:
        """The first pass over the log: who is who, and what was deleted."""
        columns: dict[bytes, int] = {}
        names: dict[int, int] = {}
        for path in self._segments:
            for record in self._records(path):
                kind = record[0] if record else 0
                if kind == log.SERIES:
                    for ref, key in log.decode_series(record):
                        if key not in columns:
                            columns[key] = self._layout.append(key)
                        names[ref] = columns[key]
                elif kind == log.TOMBSTONES:
                    self._tombstones += log.decode_tombstones(record)
                elif kind == log.METADATA:
                    for ref, metadata in log.decode_metadata(record):
                        if ref in names:
                            self._metadata[self._layout.labels(names[ref]).metric_name] = metadata
            progress.advance(self._disk.size(path) or 0)
        self._known = np.array(sorted(names), np.int64)
        self._columns = np.array([names[ref] for ref in self._known.tolist()] or [0], np.int32)
        self._mapped_until = np.full(len(self._known), NEVER, np.int64)

    def _records(self, path: Path) -> Iterator[bytes]:
        mapped = self._disk.map(path)
        try:
            yield from log.read_records(mapped.view)
        except DamagedFile as error:
            text = f"{path}: {error}; what follows it in this file is lost"
            if text not in self.remarks:
                self.remarks.append(text)
        finally:
            mapped.close()

    def _mapped(self, path: Path, progress: Progress) -> Iterator[Batch]:
        mapped = self._disk.map(path)
        data = np.frombuffer(mapped.view, np.uint8)
        try:
            chunks = scan_head_chunks(data)
        except WireError as error:
            self.remarks.append(f"{path}: {error}; the log has its samples, unless it is damaged too")
            progress.advance(len(data))
            return
        if chunks.damage:
            self.remarks.append(f"{path}: {chunks.damage}; the log has its samples, unless it is damaged too")
        encodings = head_encodings(data, chunks) if len(chunks.refs) else np.zeros(0, np.uint8)
        samples = decode_chunks(data, chunks.begins, chunks.sizes, encodings & ~np.uint8(OUT_OF_ORDER))
        if samples.lost.any():
            self.remarks.append(f"{path}: {int(samples.lost.sum())} chunks are damaged or not understood")
        in_order = (encodings & OUT_OF_ORDER) == 0
        is_late = ~in_order[samples.chunk_of]
        places, known = self._places(chunks.refs)
        np.maximum.at(self._mapped_until, places[known & in_order], chunks.end_times[known & in_order])
        waiting = Waiting()
        waiting.refs, waiting.times = [chunks.refs[samples.chunk_of]], [samples.times]
        waiting.values, waiting.cells = [samples.values], len(samples.times)
        numbers = samples.histogram_of
        waiting.histogram_of = [np.full(len(samples.times), FLOAT, np.int32) if numbers is None else numbers]
        waiting.histograms = [samples.histograms] if samples.histograms is not None else []
        yield from self._flush(waiting, progress, len(data), is_late, is_mapped=True)

    def _logged(self, segments: list[Path], progress: Progress, *, is_late: bool) -> Iterator[Batch]:
        unknown: dict[int, int] = {}
        waiting, size = Waiting(), 0
        for path in segments:
            for record in self._records(path):
                kind = record[0] if record else 0
                if kind == log.SAMPLES:
                    waiting.put(log.decode_samples(record))
                elif kind in log.OF_HISTOGRAMS:
                    waiting.put_histograms(*log.decode_histograms(record))
                elif kind not in log.IGNORED and kind not in {log.SERIES, log.TOMBSTONES, log.METADATA}:
                    unknown[kind] = unknown.get(kind, 0) + 1
                if waiting.cells >= BATCH_CELLS:
                    yield from self._flush(waiting, progress, size, is_late)
                    waiting, size = Waiting(), 0
            size += self._disk.size(path) or 0
        yield from self._flush(waiting, progress, size, is_late)
        for kind, count in unknown.items():
            self.remarks.append(
                f"{self._folder}: {count} log records of type {kind}, which this nunchi does not know, were passed over"
            )

    def _places(self, refs: Longs) -> tuple[Longs, NDArray[np.bool_]]:
        """Where refs stand among those that are known, and which are."""
        if len(self._known) == 0:
            return np.zeros(len(refs), np.int64), np.zeros(len(refs), np.bool_)
        places = np.minimum(np.searchsorted(self._known, refs), len(self._known) - 1)
        return places, self._known[places] == refs

    def _flush(
        self,
        waiting: Waiting,
        progress: Progress,
        size: int,
        is_late: bool | NDArray[np.bool_],
        *,
        is_mapped: bool = False,
    ) -> Iterator[Batch]:
        if not waiting.cells:
            progress.advance(size)
            return
        refs, times = np.concatenate(waiting.refs), np.concatenate(waiting.times)
        places, known = self._places(refs)
        is_newer = times >= self._min_valid_ms
        if not is_mapped:
            is_newer &= times > self._mapped_until[places] if len(self._mapped_until) else False
        kept = known & (is_newer | is_late)
        for tombstone in self._tombstones:
            kept &= ~((refs == tombstone.ref) & (times >= tombstone.start_ms) & (times <= tombstone.end_ms))
        numbers = np.concatenate(waiting.histogram_of)[kept]
        has_histograms = bool((numbers != FLOAT).any())
        progress.advance(size, int(kept.sum()))
        yield Batch.cells(
            self._layout, times[kept], self._columns[places[kept]], np.concatenate(waiting.values)[kept], self._metadata,
            histogram_of=numbers if has_histograms else None,
            histograms=HistogramColumns.concatenate(waiting.histograms) if has_histograms else None,
        )  # fmt: skip


def log_segments(disk: Disk, folder: Path) -> list[Path]:
    """The files of a log in the order in which they are read: the newest checkpoint, then the segments behind it."""
    if not folder.is_dir():
        return []
    names = disk.list(folder)
    checkpoints = sorted(
        int(name.removeprefix(CHECKPOINT))
        for name in names
        if name.startswith(CHECKPOINT) and name.removeprefix(CHECKPOINT).isdigit()
    )
    segments = sorted((int(name), name) for name in names if name.isdigit())
    if not checkpoints:
        return [folder / name for _, name in segments]
    last = checkpoints[-1]
    checkpoint = folder / next(name for name in names if name.startswith(CHECKPOINT) and name.endswith(f"{last:08}"))
    inside = [checkpoint / name for name in disk.list(checkpoint) if name.isdigit()]
    return [*inside, *(folder / name for number, name in segments if number > last)]
