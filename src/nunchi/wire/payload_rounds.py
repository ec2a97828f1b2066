"""Our push payload, read back by who wrote it: spooled payloads are joined and halved without numpy
(docs/formats/payload.md).

The server's reader is `payload`; this one trusts bytes whose checksum holds, for they were written by this program, and
any that do not fit are one `WireError`. Invariant: what is read and encoded again says the same of the same numbers.
"""

import struct
import sys
from array import array
from dataclasses import dataclass, replace

from nunchi.model.labels import SEPARATOR
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout
from nunchi.wire.errors import WireError
from nunchi.wire.payload_encoder import (
    COLUMNS_ALL,
    COLUMNS_AS_BEFORE,
    COLUMNS_LISTED,
    HEAD,
    LAYOUT_HEAD,
    LENGTH,
    METRIC_TYPES,
    REPLACES,
    ROUND_HEAD,
    Round,
    Sender,
)
from nunchi.wire.payload_envelope import Source, has_histograms, open_envelope
from nunchi.wire.payload_histograms import read_histograms
from nunchi.wire.payload_planes import integers, joined

LAYOUTS_REMEMBERED_MAX = 8
OWN_BYTES_MAX = (1 << 32) - 1  # what an envelope can say: whoever wrote it had it in memory


@dataclass(frozen=True, slots=True, eq=False)
class WrittenPayload:
    """What one payload says."""

    sender: Sender
    first_sequence: int
    interval_ms: int
    rounds: tuple[Round, ...]
    metadata: dict[str, Metadata]

    @property
    def samples(self) -> int:
        """How many samples it carries."""
        return sum(len(one.values) for one in self.rounds)


class PayloadRounds:
    """Reads payloads; equal layouts are one object, so that rounds of several payloads can be encoded as differences."""

    def __init__(self) -> None:
        self._layouts: dict[bytes, Layout] = {}

    def read(self, payload: bytes) -> WrittenPayload:
        """Raises `WireError`."""
        try:
            return self._read(Source(open_envelope(payload, OWN_BYTES_MAX)), with_histograms=has_histograms(payload))
        except (struct.error, IndexError, KeyError, ValueError) as error:
            raise WireError(f"payload: it cannot be read back: {error}") from error

    def _read(self, source: Source, *, with_histograms: bool) -> WrittenPayload:
        agent_id, name, version = source.text(), source.text(), source.text()
        epoch, first_sequence, interval_ms, layouts, entries, count = source.unpack(HEAD)
        found = [self._layout(source.take(*source.unpack(LENGTH))) for _ in range(layouts)]
        metadata = {}
        for _ in range(entries):
            family, kind = source.text(), source.take(1)[0]
            metadata[family] = Metadata(METRIC_TYPES[kind], source.text(), source.text())
        rounds = _read_rounds(source, found, count)
        if with_histograms:
            histograms = read_histograms(source.take, count)
            rounds = tuple(replace(one, histograms=own) for one, own in zip(rounds, histograms, strict=True))
        return WrittenPayload(Sender(agent_id, name, version, epoch), first_sequence, interval_ms, rounds, metadata)

    def _layout(self, block: bytes) -> Layout:
        layout = self._layouts.pop(block, None) or _read_layout(Source(block))
        self._layouts[block] = layout
        while len(self._layouts) > LAYOUTS_REMEMBERED_MAX:
            del self._layouts[next(iter(self._layouts))]
        return layout


def _read_layout(source: Source) -> Layout:
    series, symbol_count, symbol_bytes, pairs = source.unpack(LAYOUT_HEAD)
    lengths = _integers(source, symbol_count)
    blob = source.take(symbol_bytes)
    counts, names, values = _integers(source, series), _integers(source, pairs), _integers(source, pairs)
    symbols, at = [], 0
    for length in lengths:
        symbols.append(blob[at : at + length])
        at += length
    layout, at = Layout(), 0
    for count in counts:
        words = [
            symbols[word] for pair in zip(names[at : at + count], values[at : at + count], strict=True) for word in pair
        ]
        layout.append(SEPARATOR.join(words) + SEPARATOR)
        at += count
    return layout


def _read_rounds(source: Source, layouts: list[Layout], count: int) -> tuple[Round, ...]:
    heads = [source.unpack(ROUND_HEAD) for _ in range(count)]
    listed = _integers(source, sum(cells for _, _, cells, how in heads if how & ~REPLACES == COLUMNS_LISTED), "i")
    bits = joined(source.take(8 * sum(cells for _, _, cells, _ in heads)), 8)
    rounds: list[Round] = []
    before: dict[int, tuple[array[int], bytes]] = {}
    at = listed_at = 0
    for timestamp_ms, number, cells, marks in heads:
        how, replaces = marks & ~REPLACES, bool(marks & REPLACES)
        own = bits[8 * at : 8 * (at + cells)]
        at += cells
        if how == COLUMNS_LISTED:
            columns = listed[listed_at : listed_at + cells]
            listed_at += cells
        elif how == COLUMNS_ALL:
            columns = array("i", range(cells))
        elif how == COLUMNS_AS_BEFORE:
            columns, bits_before = before[number]
            own = (int.from_bytes(own, "little") ^ int.from_bytes(bits_before, "little")).to_bytes(len(own), "little")
        else:
            raise WireError(f"payload: columns given as {how} are not known")
        before[number] = columns, own
        values: array[float] = array("d", own)
        if sys.byteorder == "big":
            values.byteswap()
        rounds.append(Round(timestamp_ms, layouts[number], columns, values, replaces))
    return tuple(rounds)


def _integers(source: Source, count: int, typecode: str = "I") -> "array[int]":
    return integers(source.take(4 * count), typecode)
