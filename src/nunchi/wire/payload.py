"""Our push payload, the receiver's side: bytes to rounds of samples (docs/formats/payload.md). Senders: `payload_encoder`.

Invariant: every length and every number is checked against what is there before it is used; whatever the bytes say, memory
stays within a few times `body_bytes_max`, and the label keys, in which one text may stand many times, in `KEY_BYTES_MAX`.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import METRIC_NAME, SEPARATOR
from nunchi.model.metadata import Metadata
from nunchi.model.staleness import NORMAL_NAN_BITS, STALE_BITS
from nunchi.wire.errors import BodyTooLarge, WireError
from nunchi.wire.payload_encoder import (
    COLUMNS_ALL,
    COLUMNS_AS_BEFORE,
    COLUMNS_LISTED,
    CONTENT_TYPE,
    HEAD,
    LAYOUT_HEAD,
    LENGTH,
    METRIC_TYPES,
    REPLACES,
    ROUND_HEAD,
    Sender,
)
from nunchi.wire.payload_envelope import BODY_BYTES_MAX, Source, has_histograms, open_envelope
from nunchi.wire.payload_histogram_columns import read_histogram_columns

__all__ = ["CONTENT_TYPE", "Payload", "PayloadLayout", "PayloadReader", "PayloadRound", "Sender", "decode_payload"]

LAYOUTS_MAX = 256  # of one payload
ROUNDS_MAX = 10_000
LAYOUTS_REMEMBERED_MAX = 8
KEY_BYTES_MAX = 64 * 1024 * 1024  # of the layouts of one payload, and of those remembered


@dataclass(frozen=True, slots=True, eq=False)
class PayloadLayout:
    """The label keys of the columns (see `model.labels`), unique and valid. Known layouts are the same object again."""

    keys: tuple[bytes, ...]
    key_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class PayloadRound:
    """One row: `values[i]`, float64, belongs to column `columns[i]`, int32, of the layout; each column at most once.

    `replaces`: values that are stored for this time already give way to these. `histogram_of`: int32, which of the payload's
    histograms a cell is, `FLOAT` where it is a number; None: all are numbers.
    """

    timestamp_ms: int
    layout: PayloadLayout
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    replaces: bool = False
    histogram_of: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """What one push carries. Its samples have the numbers `first_sequence` to `first_sequence + samples` of this epoch."""

    sender: Sender
    first_sequence: int
    samples: int
    interval_ms: int
    rounds: tuple[PayloadRound, ...]
    metadata: dict[str, Metadata]
    histograms: HistogramColumns | None = None


class ArraySource(Source):
    """Numbers in arrays too."""

    def planes(self, count: int, width: int) -> bytes:
        """The next numbers of `width` bytes, which stand plane by plane."""
        data = np.frombuffer(self.take(count * width), np.uint8)
        return data.reshape(width, count).T.tobytes()

    def integers(self, count: int) -> NDArray[np.uint32]:
        """The next 32-bit numbers."""
        return np.frombuffer(self.planes(count, 4), "<u4").astype(np.uint32)


class PayloadReader:
    """Decodes the payloads of one sender; its last few layouts are remembered, so that known series cost nothing."""

    def __init__(self, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._body_bytes_max = body_bytes_max
        self._layouts: dict[bytes, PayloadLayout] = {}

    def read(self, payload: bytes) -> Payload:
        """Raises `WireError`: `UnknownVersion` and `BodyTooLarge` where these are what is wrong."""
        body = open_envelope(payload, self._body_bytes_max)
        return self.read_body(body, with_histograms=has_histograms(payload))

    def read_body(self, body: bytes, *, with_histograms: bool = False) -> Payload:
        """See `read`; of a body that is out of its envelope already."""
        source = ArraySource(body)
        agent_id, name, version = source.text(), source.text(), source.text()
        epoch, first_sequence, interval_ms, layout_count, metadata_count, round_count = source.unpack(HEAD)
        if not agent_id:
            raise WireError("payload: the agent's id is empty")
        if layout_count > LAYOUTS_MAX or round_count > ROUNDS_MAX:
            raise WireError(
                f"payload: {layout_count} layouts and {round_count} rounds are too many; push less at a time"
            )
        layouts = self._read_layouts(source, layout_count)
        metadata = dict(read_metadata(source) for _ in range(metadata_count))
        rounds, histograms = read_rounds(source, layouts, round_count, with_histograms=with_histograms)
        samples = sum(len(one.values) for one in rounds)
        if first_sequence + samples >= 1 << 64:
            raise WireError("payload: its samples are numbered beyond 64 bits")
        sender = Sender(agent_id, name, version, epoch)
        return Payload(sender, first_sequence, samples, interval_ms, rounds, metadata, histograms)

    def _read_layouts(self, source: ArraySource, count: int) -> list[PayloadLayout]:
        layouts: list[PayloadLayout] = []
        for _ in range(count):
            (length,) = source.unpack(LENGTH)
            block = source.take(length)
            digest = hashlib.blake2b(block, digest_size=32).digest()
            bytes_left = KEY_BYTES_MAX - sum(layout.key_bytes for layout in layouts)
            layout = self._layouts.pop(digest, None) or read_layout(ArraySource(block), bytes_left)
            self._remember(digest, layout)
            layouts.append(layout)
        return layouts

    def _remember(self, digest: bytes, layout: PayloadLayout) -> None:
        """The last one used stands last; the first ones go when there are too many."""
        self._layouts[digest] = layout
        remembered_bytes = sum(known.key_bytes for known in self._layouts.values())
        while len(self._layouts) > LAYOUTS_REMEMBERED_MAX or remembered_bytes > KEY_BYTES_MAX:
            remembered_bytes -= self._layouts.pop(next(iter(self._layouts))).key_bytes


def decode_payload(payload: bytes, body_bytes_max: int = BODY_BYTES_MAX) -> Payload:
    """One payload; who reads many of one sender keeps a `PayloadReader`."""
    return PayloadReader(body_bytes_max).read(payload)


def agent_id_of(body: bytes) -> str:
    """Whose body it is, before the rest is read: so that the reader who knows this sender reads it. Raises `WireError`."""
    return Source(body).text()


def read_layout(source: ArraySource, key_bytes_max: int) -> PayloadLayout:
    """The layout of a block."""
    series, symbol_count, symbol_bytes, pairs = source.unpack(LAYOUT_HEAD)
    lengths = source.integers(symbol_count).astype(np.int64)
    if int(lengths.sum()) != symbol_bytes:
        raise WireError("payload: the texts of a layout are not as long as it declares")
    blob = source.take(symbol_bytes)
    counts = source.integers(series).astype(np.int64)
    if int(counts.sum()) != pairs:
        raise WireError("payload: a layout does not have as many labels as it declares")
    names, values = source.integers(pairs), source.integers(pairs)
    source.end()
    if pairs and max(names.max(), values.max()) >= symbol_count:
        raise WireError("payload: a label names a text that is not there")
    key_bytes = int(lengths[names].sum() + lengths[values].sum()) + 2 * pairs
    if key_bytes > key_bytes_max:
        raise BodyTooLarge(f"payload: its labels are longer than the {KEY_BYTES_MAX} bytes allowed; push fewer series")
    symbols = _cut(blob, lengths)
    keys = tuple(_label_keys(symbols, counts.tolist(), names.tolist(), values.tolist()))
    if len(set(keys)) != len(keys):
        raise WireError("payload: a layout lists a series twice")
    return PayloadLayout(keys, key_bytes)


def _cut(blob: bytes, lengths: NDArray[np.int64]) -> list[bytes]:
    ends = np.cumsum(lengths).tolist()
    symbols = [blob[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
    try:
        for symbol in symbols:
            symbol.decode()
    except UnicodeDecodeError:
        raise WireError("payload: a label is not valid UTF-8") from None
    return symbols


def _label_keys(symbols: list[bytes], counts: list[int], names: list[int], values: list[int]) -> list[bytes]:
    keys, at = [], 0
    metric_name = METRIC_NAME.encode()
    for count in counts:
        own_names = [symbols[name] for name in names[at : at + count]]
        own_values = [symbols[value] for value in values[at : at + count]]
        at += count
        is_sorted = all(left < right for left, right in pairwise(own_names))
        if not is_sorted or metric_name not in own_names or b"" in own_names or b"" in own_values:
            raise WireError("payload: the labels of a series are not sorted, not complete, or empty")
        words = [word for pair in zip(own_names, own_values, strict=True) for word in pair]
        keys.append(SEPARATOR.join(words) + SEPARATOR)
    return keys


def read_metadata(source: ArraySource) -> tuple[str, Metadata]:
    """The next metadata entry, by family name."""
    name = source.text()
    kind = source.take(1)[0]
    if kind >= len(METRIC_TYPES):
        raise WireError(f"payload: metric type {kind} does not exist")
    return name, Metadata(METRIC_TYPES[kind], source.text(), source.text())


def read_rounds(
    source: ArraySource, layouts: list[PayloadLayout], count: int, *, with_histograms: bool
) -> tuple[tuple[PayloadRound, ...], HistogramColumns | None]:
    """All rounds: their heads, then the columns that are listed, then the values, then the histograms."""
    heads = [_read_head(source) for _ in range(count)]
    listed = sum(cells for _, _, cells, how, _ in heads if how == COLUMNS_LISTED)
    columns_listed = source.integers(listed)
    cells_all = sum(cells for _, _, cells, _, _ in heads)
    bits = np.frombuffer(source.planes(cells_all, 8), "<u8").astype(np.uint64)
    rounds = []
    before: dict[int, slice] = {}
    columns_of: dict[int, NDArray[np.int32]] = {}
    at = listed_at = 0
    for timestamp_ms, number, cells, how, replaces in heads:
        if number >= len(layouts):
            raise WireError("payload: a round names a layout that is not there")
        place = slice(at, at + cells)
        at += cells
        if how == COLUMNS_AS_BEFORE:
            if number not in before or len(columns_of[number]) != cells:
                raise WireError("payload: a round has the columns of one before that is not there")
            bits[place] ^= bits[before[number]]
        elif how == COLUMNS_LISTED:
            columns_of[number] = _check_columns(columns_listed[listed_at : listed_at + cells], layouts[number])
            listed_at += cells
        elif how == COLUMNS_ALL and cells == len(layouts[number].keys):
            columns_of[number] = np.arange(cells, dtype=np.int32)
        else:
            raise WireError("payload: the columns of a round are given in no known way")
        before[number] = place
        rounds.append((timestamp_ms, layouts[number], columns_of[number], place, replaces))
    values = bits.view(np.float64)
    bits[np.isnan(values) & (bits != STALE_BITS)] = NORMAL_NAN_BITS  # the markers of ours never come from outside
    histograms, histogram_of = None, None
    if with_histograms:
        histograms, histogram_of = read_histogram_columns(source, [head[2] for head in heads], values)
    source.end()
    found = tuple(
        PayloadRound(time, layout, columns, values[place], replaces, _histograms_at(histogram_of, place))
        for time, layout, columns, place, replaces in rounds
    )
    return found, histograms


def _histograms_at(histogram_of: NDArray[np.int32] | None, place: slice) -> NDArray[np.int32] | None:
    """Those of one round; None where it has none."""
    if histogram_of is None or not (histogram_of[place] != FLOAT).any():
        return None
    return histogram_of[place]


def _read_head(source: ArraySource) -> tuple[int, int, int, int, bool]:
    """Time, layout, cells, how the columns are given, whether it replaces."""
    timestamp_ms, number, cells, how = source.unpack(ROUND_HEAD)
    return timestamp_ms, number, cells, how & ~REPLACES, bool(how & REPLACES)


def _check_columns(columns: NDArray[np.uint32], layout: PayloadLayout) -> NDArray[np.int32]:
    if len(columns) and columns.max() >= len(layout.keys):
        raise WireError("payload: a round names a column that its layout does not have")
    if len(np.unique(columns)) != len(columns):
        raise WireError("payload: a round lists a column twice")
    return columns.astype(np.int32)
