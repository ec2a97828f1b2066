"""Reading what targets serve as protobuf: length-delimited `io.prometheus.client.MetricFamily`, native histograms among them.

A reader gives the same `Exposition` as the one of the texts. Messages are scanned, and known series met, by
`kernels/families.pyx`, and read to samples by `kernels/family_contents.pyx`; Python sees new series, families that moved,
exemplars, and the shapes of native histograms.
Invariants: every length is checked against the message around it; one damaged message fails the whole exposition and leaves
the reader as it was; at most `REMEMBERED_RATIO` times the series of a body, and `REMEMBERED_MIN`, are remembered.
"""

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nunchi.model.exemplar import Exemplar
from nunchi.model.histogram_columns import FLOAT, HistogramColumns, Shape
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS
from nunchi.wire.errors import ExpositionError
from nunchi.wire.exemplars import decode_family_exemplar
from nunchi.wire.exposition import NO_TIMESTAMP, Exposition
from nunchi.wire.go_floats import format_canonical
from nunchi.wire.histograms import decode_histograms
from nunchi.wire.kernels.families import ERRORS, FamilyScanner
from nunchi.wire.kernels.family_contents import BOUND_LABELS, PARTS
from nunchi.wire.protobuf_fields import Damaged, bytes_of, fields

REMEMBERED_RATIO = 4
REMEMBERED_MIN = 1024

_TYPES: Final = (
    MetricType.COUNTER, MetricType.GAUGE, MetricType.SUMMARY, MetricType.UNKNOWN, MetricType.HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM,
)  # fmt: skip
_IDENTITY: Final = struct.Struct("=Bd")  # of a sample among those of its metric: part, bound


class FamilyReader:
    """One target's reader. Not for two threads at once; the scanning itself runs without the interpreter's lock.

    with_native   native parts of histograms are read; else their classic parts alone
    with_classic  classic parts are read too where there is a native one
    """

    def __init__(self, *, with_native: bool = False, with_classic: bool = False) -> None:
        # The interpreter's own secret per process: a target cannot aim at one slot of the table.
        self._scanner = FamilyScanner(hash("nunchi families") & 0xFFFFFFFFFFFFFFFF, with_native, with_classic)
        self._families: dict[str, Metadata] = {}
        self._series = np.empty(0, np.int32)
        self._no_timestamps = np.empty(0, np.int64)
        self._shapes: dict[bytes, Shape] = {}

    def read(self, body: bytes) -> Exposition:
        """The samples of a body; raises `ExpositionError` with the number of the metric family, and then nothing changed."""
        scanner = self._scanner
        error = scanner.scan(body)
        try:
            if error:
                raise _error(scanner.family, ERRORS[error])
            new_series, empty_labels = self._new_series()
            histogram_of, histograms = self._histograms()
        except ExpositionError:
            scanner.rollback()
            raise
        metadata = self._changed_metadata()
        values, timestamps = scanner.contents.read_values(), self._timestamps()
        values.view(np.uint64)[np.isnan(values)] = NORMAL_NAN_BITS
        if histogram_of is not None:
            values[histogram_of != FLOAT] = ABSENT
        if not scanner.is_steady or new_series:
            self._series = scanner.series()
            self._series.flags.writeable = False
        scanner.commit()
        exposition = Exposition(
            self._series, values, timestamps, new_series, metadata, scanner.has_timestamps, scanner.is_steady,
            self._exemplars(body, timestamps), empty_labels, histogram_of, histograms,
            scanner.read_starts() if scanner.has_starts else None,
        )  # fmt: skip
        if scanner.remembered > REMEMBERED_RATIO * len(values) + REMEMBERED_MIN:
            scanner.forget()
        if len(self._families) > REMEMBERED_RATIO * scanner.family + REMEMBERED_MIN:
            self._families.clear()
        return exposition

    def _timestamps(self) -> NDArray[np.int64]:
        if self._scanner.has_timestamps:
            return self._scanner.read_timestamps()
        if len(self._no_timestamps) != self._scanner.sample_count:
            self._no_timestamps = np.full(self._scanner.sample_count, NO_TIMESTAMP, np.int64)
            self._no_timestamps.flags.writeable = False
        return self._no_timestamps

    def _new_series(self) -> tuple[list[tuple[int, Labels]], dict[int, tuple[str, ...]]]:
        new_series: list[tuple[int, Labels]] = []
        empty_labels: dict[int, tuple[str, ...]] = {}
        for first, name, labels, identities in self._scanner.new_metrics():
            try:
                own = _label_pairs(labels)
            except (Damaged, UnicodeDecodeError) as error:
                said = "a text is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                raise _error(0, f"{name.decode()}: {said}") from None
            for number, (part, bound) in enumerate(_IDENTITY.iter_unpack(identities), first):
                pairs = [(METRIC_NAME, name.decode() + PARTS[part]), *own]
                if BOUND_LABELS[part]:
                    pairs.append((BOUND_LABELS[part], format_canonical(bound)))
                new_series.append((number, Labels(pairs)))
                if empty := tuple(label for label, value in pairs if not value):
                    empty_labels[number] = empty
        return new_series, empty_labels

    def _histograms(self) -> tuple[NDArray[np.int32] | None, HistogramColumns | None]:
        samples, messages, places = self._scanner.contents.native()
        if not len(samples):
            return None, None
        columns, fine = decode_histograms(messages, places, self._shapes)
        if not fine.all():
            raise _error(0, "the buckets of a native histogram contradict its spans, its count or its schema")
        histogram_of = np.full(self._scanner.sample_count, FLOAT, np.int32)
        histogram_of[samples] = np.arange(len(samples))
        return histogram_of, columns

    def _changed_metadata(self) -> dict[str, Metadata]:
        """Of families whose head is not what it was."""
        changed = {}
        for header in self._scanner.changed_headers():
            said = dict(fields(header))
            name, help_text, unit = (bytes_of(said.get(number, b""), "a text").decode() for number in (1, 2, 5))
            kind = said.get(3, 0)
            known = Metadata(_TYPES[kind if isinstance(kind, int) else 0], help_text, unit)
            if self._families.get(name) != known:
                self._families[name] = changed[name] = known
        return changed

    def _exemplars(self, body: bytes, timestamps: NDArray[np.int64]) -> list[tuple[int, Exemplar]]:
        """Those that can be read; of native histograms, as with Prometheus, only those that have a time."""
        found = []
        for sample, begin, end, is_native in self._scanner.contents.exemplars:
            exemplar = decode_family_exemplar(body[begin:end], int(timestamps[sample]))
            if exemplar is not None and (exemplar.has_timestamp or not is_native):
                found.append((sample, exemplar))
        return found


def _label_pairs(labels: bytes) -> list[tuple[str, str]]:
    pairs = []
    for _, label in fields(labels):
        parts = dict(fields(bytes_of(label, "a label")))
        name, value = (bytes_of(parts.get(place, b""), "a label").decode() for place in (1, 2))
        if not name:
            raise Damaged("a label has no name")
        pairs.append((name, value))
    return pairs


def _error(family: int, said: str) -> ExpositionError:
    where = f"metric family {family} of a protobuf exposition" if family else "a protobuf exposition"
    return ExpositionError(family, f"{where}: {said}")
