"""Prometheus remote write 1.0: `WriteRequest` messages, decompressed, to cells of a layout, and the other way for senders.

One reader serves all senders of a door: a series is known by the bytes of its labels, so in steady state a sample costs a
hash and a look-up (`kernels/remote_write.pyx`) and Python sees only new series, and exemplars.
Invariants: ids are dense from 0 and announced once, in order, so that they are the columns of one `Layout`; a request that
cannot be read changes nothing; at most `series_max` spellings, and those of one request more, are remembered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire.errors import WireError
from nunchi.wire.exemplars import decode_exemplar, encode_exemplar
from nunchi.wire.histograms import decode_histograms, encode_histogram
from nunchi.wire.kernels.remote_write import ERRORS, RemoteWriteScanner
from nunchi.wire.prometheus_proto import METRIC_TYPES, bytes_field, double_field, integer_field, text_field

SERIES_MAX = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class WriteRequest:
    """One request, cell by cell in its order.

    series      int32[cells]: ids, dense from 0; `new_series` continues where it last ended, so they are layout columns
    timestamps  int64[cells], milliseconds
    values      float64[cells]; NaN is the staleness marker, the ordinary one or, for a histogram, *absent*
    row_timestamps, row_offsets  the runs of equal timestamps, as `Batch` wants them
    new_series  (id, label key), ascending by id
    is_renumbered  the reader forgot and numbers anew from 0: begin a new layout before taking `new_series`
    invalid     samples dropped because of their series' labels, by reason
    exemplars   (series, exemplar), in the request's order; `exemplars_invalid` more could not be read
    histogram_of, histograms  as in `Batch`; None: there are none
    invalid_histograms  int64[n]: cells of histograms that contradict themselves; `without` leaves them out
    """

    series: NDArray[np.int32]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    row_timestamps: NDArray[np.int64]
    row_offsets: NDArray[np.int64]
    new_series: list[tuple[int, bytes]]
    is_renumbered: bool
    invalid: dict[str, int]
    exemplars: list[tuple[int, Exemplar]]
    metadata: dict[str, Metadata]
    histogram_of: NDArray[np.int32] | None = None
    histograms: HistogramColumns | None = None
    invalid_histograms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    exemplars_invalid: int = 0

    def __len__(self) -> int:
        return len(self.values)


class RemoteWriteReader:
    """Remembers the series of all senders to one door. Not for two threads at once; the reading itself runs without the GIL."""

    def __init__(self, series_max: int = SERIES_MAX) -> None:
        # The interpreter's own secret per process: a sender cannot aim at one slot of the table.
        self._scanner = RemoteWriteScanner(hash("nunchi remote write") & 0xFFFFFFFFFFFFFFFF)
        self._series_max = series_max

    @property
    def series_remembered(self) -> int:
        """How many spellings of label sets the reader knows now."""
        return self._scanner.remembered

    def read(self, body: bytes) -> WriteRequest:
        """The cells of a request; raises `WireError`, and then nothing has changed."""
        scanner = self._scanner
        if scanner.remembered > self._series_max:
            scanner.forget()
        error = scanner.scan(body)
        if error:
            raise WireError(f"remote write: {ERRORS[error]}; send a prometheus.WriteRequest (version 0.1.0)")
        cells, rows = scanner.cell_count, scanner.row_count
        series = np.empty(cells, np.int32)
        timestamps = np.empty(cells, np.int64)
        values = np.empty(cells, np.float64)
        scanner.write_cells(series, timestamps, values)
        row_timestamps = np.empty(rows, np.int64)
        row_offsets = np.empty(rows + 1, np.int64)
        scanner.write_rows(row_timestamps, row_offsets)
        is_renumbered, first = scanner.is_renumbered, scanner.announced_from
        histogram_of, histograms, refused = self._histograms(body, cells)
        exemplars, exemplars_invalid = self._exemplars(body)
        return WriteRequest(
            series,
            timestamps,
            values,
            row_timestamps,
            row_offsets,
            list(enumerate(scanner.take_keys(), first)),
            is_renumbered,
            scanner.invalid_samples(),
            exemplars,
            self._metadata(body),
            histogram_of,
            histograms,
            refused,
            exemplars_invalid,
        )

    def _exemplars(self, body: bytes) -> tuple[list[tuple[int, Exemplar]], int]:
        found = []
        places = self._scanner.exemplars.tolist()
        for series, begin, end in places:
            exemplar = decode_exemplar(body[begin:end]) if series >= 0 else None
            if exemplar is not None:
                found.append((series, exemplar))
        return found, len(places) - len(found)

    def _histograms(
        self, body: bytes, cells: int
    ) -> tuple[NDArray[np.int32] | None, HistogramColumns | None, NDArray[np.int64]]:
        places = self._scanner.histograms
        if not len(places):
            return None, None, np.empty(0, np.int64)
        histograms, fine = decode_histograms(body, np.ascontiguousarray(places[:, 1:]))
        histogram_of = np.full(cells, FLOAT, np.int32)
        histogram_of[places[:, 0]] = np.arange(len(places))
        return histogram_of, histograms, places[~fine, 0]

    def _metadata(self, body: bytes) -> dict[str, Metadata]:
        found = {}
        for kind, name_begin, name_end, help_begin, help_end, unit_begin, unit_end in self._scanner.metadata():
            name, help_text, unit = (
                body[begin:end].decode(errors="replace")
                for begin, end in ((name_begin, name_end), (help_begin, help_end), (unit_begin, unit_end))
            )
            if name:
                known = METRIC_TYPES[kind] if kind < len(METRIC_TYPES) else MetricType.UNKNOWN
                found[name] = Metadata(known, help_text, unit)
        return found


def encode_write_request(
    series: Iterable[tuple[Labels, Sequence[tuple[int, float | Histogram]]]],
    metadata: Mapping[str, Metadata] | None = None,
    *,
    integer_histograms: bool = False,
    exemplars: Mapping[Labels, Sequence[Exemplar]] | None = None,
) -> bytes:
    """A `WriteRequest` of series with their (timestamp_ms, value) samples, and their exemplars; not compressed."""
    parts = []
    for labels, samples in series:
        fields = [bytes_field(1, text_field(1, name) + text_field(2, value)) for name, value in labels.pairs]
        for timestamp_ms, value in samples:
            if isinstance(value, Histogram):
                message = encode_histogram(value, timestamp_ms, is_integer=integer_histograms)
                fields.append(bytes_field(4, message))
            else:
                fields.append(bytes_field(2, double_field(1, value) + integer_field(2, timestamp_ms)))
        fields += [bytes_field(3, encode_exemplar(exemplar)) for exemplar in (exemplars or {}).get(labels, ())]
        parts.append(bytes_field(1, b"".join(fields)))
    for name, known in (metadata or {}).items():
        kind = integer_field(1, METRIC_TYPES.index(known.type))
        parts.append(bytes_field(3, kind + text_field(2, name) + text_field(4, known.help) + text_field(5, known.unit)))
    return b"".join(parts)
