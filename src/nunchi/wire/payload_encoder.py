"""Our push payload, the sender's side: rounds of samples to bytes (docs/formats/payload.md). Standard library and cramjam only.

Differences of equal columns are XORs of whole rounds as one big integer, and planes of bytes are slices, so that encoding
costs no Python work per sample. What the receiver does is in `payload.py`.
Invariant: the same rounds give the same bytes, whatever their layouts have grown to since.
"""

import struct
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from nunchi.model.histogram import Histogram
from nunchi.model.labels import SEPARATOR
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.wire.compression import Encoding, encode
from nunchi.wire.payload_histograms import encode_histograms
from nunchi.wire.payload_planes import little, planes

CONTENT_TYPE = "application/vnd.nunchi.payload"
VERSION = 1
VERSION_HISTOGRAMS = 2  # written only where there are some, so that servers of before take all the rest
ENVELOPE = struct.Struct("<B3xII")  # version, three zero bytes, length and checksum of the body
CHECKED_BYTES = 8  # of the envelope, which the checksum covers beside the body
LENGTH = struct.Struct("<I")
TEXT_LENGTH = struct.Struct("<H")
HEAD = struct.Struct("<qQIIII")  # epoch, first sequence, interval_ms, layouts, metadata entries, rounds
LAYOUT_HEAD = struct.Struct("<IIII")  # series, symbols, bytes of symbols, pairs
ROUND_HEAD = struct.Struct("<qIIB")  # timestamp_ms, layout, cells, how its columns are given
COLUMNS_LISTED, COLUMNS_AS_BEFORE, COLUMNS_ALL = 0, 1, 2
REPLACES = 0x80  # of the same byte: other values that are stored for the time of this round are overwritten
METRIC_TYPES = tuple(MetricType)  # by number; only ever continued


@dataclass(frozen=True, slots=True)
class Sender:
    """Who pushes: a stable id, the name that becomes `instance`, the program's version, and which of its starts this is."""

    agent_id: str
    name: str
    version: str
    epoch: int


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One row: `values[i]`, of typecode d, belongs to column `columns[i]`, of typecode i; each column at most once.

    `histograms` belong to the last cells, whose values stand for nothing. `replaces`: values that are stored for this time
    already give way to these.
    """

    timestamp_ms: int
    layout: Layout
    columns: "array[int]"
    values: "array[float]"
    replaces: bool = False
    histograms: tuple[Histogram, ...] = ()

    @property
    def numbers(self) -> int:
        """How many of its cells are numbers; the rest are histograms."""
        return len(self.values) - len(self.histograms)

    def part(self, begin: int, end: int) -> "Round":
        """Some of its cells."""
        own = slice(max(0, begin - self.numbers), max(0, end - self.numbers))
        return replace(
            self, columns=self.columns[begin:end], values=self.values[begin:end], histograms=self.histograms[own]
        )


class PayloadEncoder:
    """Encodes the payloads of one sender; remembers its layouts as long as they live."""

    content_type = CONTENT_TYPE

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._blocks: WeakKeyDictionary[Layout, tuple[int, bytes]] = WeakKeyDictionary()

    def encode(
        self,
        first_sequence: int,
        interval_ms: int,
        rounds: Sequence[Round],
        metadata: Mapping[str, Metadata] | None = None,
    ) -> bytes:
        """A payload. Its samples are numbered from `first_sequence`, in the order of the rounds and of their cells."""
        used: dict[Layout, int] = {}  # how many of its columns a payload shows of each layout
        for one in rounds:
            used[one.layout] = max(used.get(one.layout, 0), max(one.columns, default=-1) + 1)
        numbers = {layout: number for number, layout in enumerate(used)}
        known = metadata or {}
        sender = self._sender
        parts = [_text(sender.agent_id), _text(sender.name), _text(sender.version)]
        parts.append(HEAD.pack(sender.epoch, first_sequence, interval_ms, len(used), len(known), len(rounds)))
        for layout, columns in used.items():
            block = self._block(layout, columns)
            parts += (LENGTH.pack(len(block)), block)
        for name, entry in known.items():
            parts += (_text(name), bytes([METRIC_TYPES.index(entry.type)]), _text(entry.help), _text(entry.unit))
        parts += _encode_rounds(rounds, numbers, used)
        if not any(one.histograms for one in rounds):
            return seal(b"".join(parts))
        return seal(b"".join((*parts, *encode_histograms([one.histograms for one in rounds]))), VERSION_HISTOGRAMS)

    def _block(self, layout: Layout, columns: int) -> bytes:
        known = self._blocks.get(layout)
        if known is None or known[0] != columns:
            known = self._blocks[layout] = (columns, _encode_layout(layout, columns))
        return known[1]


def encode_payload(
    sender: Sender,
    first_sequence: int,
    interval_ms: int,
    rounds: Sequence[Round],
    metadata: Mapping[str, Metadata] | None = None,
) -> bytes:
    """One payload; who sends many keeps a `PayloadEncoder`."""
    return PayloadEncoder(sender).encode(first_sequence, interval_ms, rounds, metadata)


def seal(body: bytes, version: int = VERSION) -> bytes:
    """A body in its envelope."""
    begin = ENVELOPE.pack(version, len(body), 0)[:CHECKED_BYTES]
    return begin + LENGTH.pack(zlib.crc32(body, zlib.crc32(begin))) + encode(Encoding.ZSTD, body)


def _encode_rounds(rounds: Sequence[Round], numbers: Mapping[Layout, int], used: Mapping[Layout, int]) -> list[bytes]:
    """The heads of the rounds, the columns that are listed, then all values as differences, in planes."""
    heads, columns, values = [], [], []
    before: dict[Layout, tuple[array[int], bytes]] = {}
    for one in rounds:
        assert len(one.columns) == len(one.values)
        bits = little(one.values)
        known = before.get(one.layout)
        if known is not None and known[0] == one.columns:
            how = COLUMNS_AS_BEFORE
            values.append(_xor(bits, known[1]))
        else:
            is_all = len(one.columns) == used[one.layout] and one.columns == array("i", range(used[one.layout]))
            how = COLUMNS_ALL if is_all else COLUMNS_LISTED
            values.append(bits)
        if how == COLUMNS_LISTED:
            columns.append(little(one.columns))
        heads.append(
            ROUND_HEAD.pack(
                one.timestamp_ms, numbers[one.layout], len(one.columns), how | REPLACES if one.replaces else how
            )
        )
        before[one.layout] = (one.columns, bits)
    return [*heads, planes(b"".join(columns), 4), planes(b"".join(values), 8)]


def _encode_layout(layout: Layout, columns: int) -> bytes:
    """The labels of the first columns of a layout: every text once, and the pairs of each series as numbers of texts."""
    symbols: dict[bytes, int] = {}
    counts, names, values = array("I"), array("I"), array("I")
    for column in range(columns):
        words = layout.key(column).split(SEPARATOR)[:-1]
        counts.append(len(words) // 2)
        names.extend([symbols.setdefault(word, len(symbols)) for word in words[::2]])
        values.extend([symbols.setdefault(word, len(symbols)) for word in words[1::2]])
    blob = b"".join(symbols)
    lengths = array("I", map(len, symbols))
    lengths_planes, *others = (planes(little(numbers), 4) for numbers in (lengths, counts, names, values))
    return b"".join((LAYOUT_HEAD.pack(columns, len(symbols), len(blob), len(names)), lengths_planes, blob, *others))


def _text(text: str) -> bytes:
    encoded = text.encode(errors="replace")[:0xFFFF]
    return TEXT_LENGTH.pack(len(encoded)) + encoded


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "little") ^ int.from_bytes(right, "little")).to_bytes(len(left), "little")
