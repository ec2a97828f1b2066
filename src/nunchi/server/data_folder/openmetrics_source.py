"""OpenMetrics files as a source of samples, a few megabytes at a time, ordered by time within a buffer.

Read as leniently as a scrape, but every sample needs a timestamp and a file its `# EOF`, by which a cut one is known. What is
packed with gzip is unpacked on the way.
Invariant: a line that is wrong is named by file and number; what stood before it has come in.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.errors import InputError
from nunchi.model.batch import Batch
from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS, STALE
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.progress import Progress
from nunchi.wire.exposition import NO_TIMESTAMP, ExpositionError, ExpositionFormat, ExpositionReader, parse_series
from nunchi.wire.go_floats import parse_float
from nunchi.wire.histogram_text import parse_histogram

PIECE_BYTES = 4 << 20
LINE_BYTES_MAX = 64 << 20
BUFFER_CELLS_MAX = 1 << 23
BATCH_CELLS = 1 << 19
WINDOW_MS = 2 * 3600 * 1000
END = b"# EOF"
GZIP_MAGIC = b"\x1f\x8b"
NORMAL_NAN = float(np.array([NORMAL_NAN_BITS], np.uint64).view(np.float64)[0])

_STALE_LINE = re.compile(rb" naN -?[0-9.]+$")
_NAMELESS_LINE = re.compile(rb'(\{[a-zA-Z_][a-zA-Z0-9_]*=".*"\}) (\S+) (-?[0-9.]+)')
_HISTOGRAM_LINE = re.compile(rb"(.*\S) (\{(?:count|sum|schema):[^{}]*\}) (-?[0-9.]+)")


@dataclass(slots=True)
class Cells:
    """What was read and not given yet."""

    columns: list[NDArray[np.int32]] = field(default_factory=list)
    times: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    histogram_of: list[NDArray[np.int32]] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    are_integer: list[bool] = field(default_factory=list)
    count: int = 0
    bytes: int = 0

    def put(self, columns: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Numbers."""
        self.columns.append(columns)
        self.times.append(times)
        self.values.append(values)
        self.histogram_of.append(np.full(len(columns), FLOAT, np.int32))
        self.count += len(columns)

    def clear(self) -> None:
        """All was given."""
        for part in (self.columns, self.times, self.values, self.histogram_of, self.histograms, self.are_integer):
            part.clear()
        self.count = self.bytes = 0

    def put_histogram(self, column: int, time: int, histogram: Histogram, *, is_integer: bool) -> None:
        """A histogram."""
        self.put(np.array([column], np.int32), np.array([time], np.int64), np.array([ABSENT]))
        self.histogram_of[-1][0] = len(self.histograms)
        self.histograms.append(histogram)
        self.are_integer.append(is_integer)


class OpenMetricsSource:
    """Implements `importing.Source` over some files."""

    def __init__(self, paths: list[Path]) -> None:
        for path in paths:
            if path.is_dir() or not path.exists():
                what = "is a folder" if path.is_dir() else "does not exist"
                raise UnfitFolder(f"{path} {what}: name a file of OpenMetrics text, which may be packed with gzip")
        self._paths = paths
        self._layout = Layout()
        self._column_of: dict[bytes, int] = {}
        self._metadata: dict[str, Metadata] = {}
        self.remarks: list[str] = []

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """See `Source.batches`."""
        # Every byte counts twice: when it is read, and when its samples are given.
        progress.begin("importing", 2 * sum(path.stat().st_size for path in self._paths))
        cells = Cells()
        for path in self._paths:
            with path.open("rb") as file:
                pieces = _Pieces(path, _unpacked(file))
                told = 0
                try:
                    for _ in pieces.read(self, cells):
                        done, told = _position(file) - told, _position(file)
                        cells.bytes += done
                        progress.advance(done)
                        if cells.count >= BUFFER_CELLS_MAX:
                            yield from self._flush(cells, progress)
                            cells.clear()
                except (EOFError, OSError, zlib.error) as error:
                    yield from self._flush(cells, progress)
                    raise InputError(f"{path}: it cannot be read to its end: {error}; what was read came in") from None
                except InputError:
                    yield from self._flush(cells, progress)
                    raise
        yield from self._flush(cells, progress)

    def column(self, labels: Labels) -> int:
        """The column of a series."""
        key = labels.key()
        found = self._column_of.get(key)
        if found is None:
            found = self._column_of[key] = self._layout.append(key)
        return found

    def learn(self, metadata: dict[str, Metadata]) -> None:
        """What families are."""
        self._metadata.update(metadata)

    def _flush(self, cells: Cells, progress: Progress) -> Iterator[Batch]:
        if not cells.count:
            progress.advance(cells.bytes)
            return
        times, columns = np.concatenate(cells.times), np.concatenate(cells.columns)
        values, histogram_of = np.concatenate(cells.values), np.concatenate(cells.histogram_of)
        histograms = HistogramColumns.of(cells.histograms, cells.are_integer) if cells.histograms else None
        order = np.argsort(times // WINDOW_MS, kind="stable")
        for begin in range(0, len(order), BATCH_CELLS):
            some = order[begin : begin + BATCH_CELLS]
            progress.advance(cells.bytes * len(some) // len(order), len(some))
            yield Batch.cells(
                self._layout, times[some], columns[some], values[some], self._metadata,
                histogram_of=None if histograms is None else histogram_of[some], histograms=histograms,
            )  # fmt: skip


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The text of a file that may be packed; a pipe is taken for text as it is."""
    if not file.seekable():
        return file
    is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file


def _position(file: BinaryIO) -> int:
    return file.tell() if file.seekable() else 0


class _Pieces:
    """One file, in pieces that end where lines end."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._reader = ExpositionReader()
        self._columns = np.zeros(0, np.int32)
        self._type_line = b""
        self._lines = 0

    def read(self, source: OpenMetricsSource, cells: Cells) -> Iterator[int]:
        """Put all samples into `cells` of the moment; yields the bytes of each piece."""
        rest, has_ended = b"", False
        while block := self._file.read(PIECE_BYTES):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if len(rest) > LINE_BYTES_MAX:
                raise InputError(f"{self._path}:{self._lines + 1}: the line is longer than {LINE_BYTES_MAX} bytes")
            if newline:
                has_ended = self._take(whole.split(b"\n"), source, cells, has_ended=has_ended)
            yield len(block)
        if rest:
            has_ended = self._take([rest], source, cells, has_ended=has_ended)
        if not has_ended:
            raise InputError(
                f"{self._path}:{self._lines}: the file ends without # EOF, so it may be cut; what it has came in. "
                "Get it whole, or add the line"
            )

    def _take(self, lines: list[bytes], source: OpenMetricsSource, cells: Cells, *, has_ended: bool) -> bool:
        if END in lines and not has_ended:
            at = lines.index(END)
            behind, lines = lines[at + 1 :], lines[:at]
            has_ended = True
            if any(behind):
                raise InputError(f"{self._path}:{self._lines + at + 2}: text follows after # EOF: take it away")
        elif has_ended and any(lines):
            raise InputError(f"{self._path}:{self._lines + 1}: text follows after # EOF: take it away")
        elif has_ended:
            return True
        removed: list[int] = []
        if any(b" {" in line or line.startswith(b"{") for line in lines):
            lines, removed = self._take_odd_lines(lines, source, cells)
        self._take_numbers(lines, removed, source, cells)
        self._lines += len(lines) + len(removed) + has_ended
        return has_ended

    def _take_odd_lines(
        self, lines: list[bytes], source: OpenMetricsSource, cells: Cells
    ) -> tuple[list[bytes], list[int]]:
        """What no scrape reads: histograms as values, and series without a metric name."""
        plain: list[bytes] = []
        removed: list[int] = []
        for number, line in enumerate(lines):
            match = _HISTOGRAM_LINE.fullmatch(line) or _NAMELESS_LINE.fullmatch(line)
            if match is None:
                plain.append(line)
                continue
            removed.append(number)
            try:
                column, time = source.column(Labels(parse_series(match[1]))), round(float(match[3]) * 1000)
                if match[2].startswith(b"{"):
                    histogram, is_integer = parse_histogram(match[2].decode())
                    cells.put_histogram(column, time, histogram, is_integer=is_integer)
                else:
                    text = match[2].decode()
                    value = STALE if text == "naN" else NORMAL_NAN if text == "NaN" else parse_float(text)
                    cells.put(np.array([column], np.int32), np.array([time], np.int64), np.array([value]))
            except ValueError as error:
                raise InputError(f"{self._path}:{self._lines + number + 1}: {error}") from None
        return plain, removed

    def _take_numbers(self, lines: list[bytes], removed: list[int], source: OpenMetricsSource, cells: Cells) -> None:
        # The type of the family that goes on from the piece before tells how to read its `le` and `quantile`.
        body = b"\n".join([*([self._type_line] if self._type_line else []), *lines, END, b""])
        ahead = 1 if self._type_line else 0
        try:
            exposition = self._reader.read(body, ExpositionFormat.OPEN_METRICS)
        except ExpositionError as error:
            raise InputError(f"{self._path}:{self._number(error.line - 1 - ahead, removed)}: {error.what}") from None
        if len(exposition) and (exposition.timestamps == NO_TIMESTAMP).any():
            place = int(np.argmax(exposition.timestamps == NO_TIMESTAMP))
            number = self._number(_sample_lines(lines)[place], removed)
            raise InputError(f"{self._path}:{number}: the sample has no timestamp: write one behind its value")
        for series, labels in exposition.new_series:
            if series >= len(self._columns):
                self._columns = np.concatenate([self._columns, np.zeros(max(1024, series), np.int32)])
            self._columns[series] = source.column(labels)
        source.learn(exposition.metadata)
        values = exposition.values
        if any(_STALE_LINE.search(line) for line in lines):
            stale = [place for place, line in enumerate(_sample_lines(lines)) if _STALE_LINE.search(lines[line])]
            values = values.copy()
            values[stale] = STALE
        cells.put(self._columns[exposition.series], exposition.timestamps, values)
        types = [line for line in lines if line.startswith(b"# TYPE ")]
        self._type_line = types[-1] if types else self._type_line

    def _number(self, place: int, removed: list[int]) -> int:
        """The number in the file of line `place` of the piece, from which some lines were taken out."""
        for taken in removed:
            if taken <= place:
                place += 1
        return self._lines + place + 1


def _sample_lines(lines: list[bytes]) -> list[int]:
    return [place for place, line in enumerate(lines) if line and not line.startswith(b"#")]
