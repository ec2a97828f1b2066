"""What the series and the room of a data folder are spent on: counts of labels, churn from file to file, bytes a metric.

All counting is done on arrays. Invariant: numbers of series are those of distinct label sets, however many files have them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.labels import Labels
from nunchi.model.symbols import LabelTable
from nunchi.server.data_folder.series import TIME_MS_MAX, TIME_MS_MIN, Matchers
from nunchi.storage.cardinality import Cardinality, count_labels
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.database import Database
from nunchi.tsdb.usage import bytes_by_series


@dataclass(frozen=True, slots=True)
class FileChurn:
    """A block or a run: its span, series, and how many of these the file before it did not have."""

    name: str
    min_time_ms: int
    max_time_ms: int
    series: int
    fresh: int


@dataclass(frozen=True, slots=True)
class MetricUsage:
    """Of one metric: series, sealed samples, and the bytes that these take."""

    name: str
    series: int
    samples: int
    bytes: float


@dataclass(slots=True)
class Analysis:
    """What was found, the largest first."""

    labels: Cardinality = field(default_factory=Cardinality)
    samples: int = 0
    churn: list[FileChurn] = field(default_factory=list)
    usage: list[MetricUsage] = field(default_factory=list)


def analyze(database: Database, disk: Disk, selectors: Sequence[Matchers], rows: int) -> Analysis:
    """The analysis of the series that match any selector, at most so many rows a table."""
    found = Analysis()
    querier = database.querier()
    try:
        tables = [querier.select(matchers, TIME_MS_MIN, TIME_MS_MAX) for matchers in selectors]
        # Several selectors may match the same series: their tables are put together by the texts of the label sets.
        table, sizes = tables[0].labels, tables[0].sizes
        if len(tables) > 1:
            table, sizes = _union([(each.labels, each.sizes) for each in tables])
        found.labels, found.samples = count_labels(table, rows), int(sizes.sum())
    finally:
        querier.close()
    _measure_files(database, disk, selectors, rows, found)
    return found


def _union(tables: Sequence[tuple[LabelTable, NDArray[np.int64]]]) -> tuple[LabelTable, NDArray[np.int64]]:
    known: dict[Labels, int] = {}
    for table, sizes in tables:
        for number in range(len(table)):
            known.setdefault(table.labels(number), int(sizes[number]))
    symbols = tables[0][0].symbols
    return LabelTable.of(symbols, known), np.array(list(known.values()), np.int64)


def _measure_files(database: Database, disk: Disk, selectors: Sequence[Matchers], rows: int, found: Analysis) -> None:
    files = sorted(database.sealed_files(), key=lambda file: _chunks(file).min_time)
    totals: dict[str, list[float]] = {}
    before: NDArray[np.uint64] | None = None
    head = database.head_index()
    for file in files:
        chunks = _chunks(file)
        index = file.index if isinstance(file, Block) else head
        refs = np.unique(np.concatenate([index.select(matchers) for matchers in selectors]))
        own = np.intersect1d(refs, chunks.ids)
        hashes = np.sort(index.hashes[own][:, 0])
        fresh = len(hashes) if before is None else len(np.setdiff1d(hashes, before))
        kind = "block" if isinstance(file, Block) else "run"
        found.churn.append(FileChurn(f"{kind} {chunks.number}", chunks.min_time, chunks.max_time, len(own), fresh))
        before = hashes
        samples, room = bytes_by_series(disk, chunks.path, own)
        ranks = index.metric_ranks(own)
        used, inverse = np.unique(ranks, return_inverse=True)
        columns = (np.bincount(inverse, weights, len(used)).tolist() for weights in (None, samples, room))
        for name, *numbers in zip(index.texts(used), *columns, strict=True):
            known = totals.setdefault(name, [0.0, 0.0, 0.0])
            known[0] = max(known[0], numbers[0])
            known[1] += numbers[1]
            known[2] += numbers[2]
    usage = [MetricUsage(name, int(n), int(samples), room) for name, (n, samples, room) in totals.items()]
    found.usage = sorted(usage, key=lambda one: -one.bytes)[:rows]


def _chunks(file: Block | ChunksFile) -> ChunksFile:
    return file.chunks if isinstance(file, Block) else file
