"""Native histograms in packs: each is some cells, its *parts* (docs/formats/pack.md). What agents and servers share; no arrays.

A part is a column of a dictionary of its own kind: the series' label key, and what of the histogram it is. So counts are sent
as differences like all numbers, and a bucket that is new costs one announcement. A round has the counts of its histograms
first, which say their order, then all other parts by column: nothing is jumped over, and what stands still costs nothing.
Invariant: what the parts of a histogram say is the histogram, to the bit.
"""

import struct
from array import array
from collections.abc import Sequence
from enum import IntEnum

from nunchi.model.histogram import BucketSpan, Histogram, bucket_indices
from nunchi.model.labels import SEPARATOR
from nunchi.model.series_group import Layout
from nunchi.wire.errors import WireError
from nunchi.wire.payload_histograms import HINTS, IS_INTEGER

PART = struct.Struct(">Bbi")  # what it is, schema, number: marks of a count, index of a bucket
PARTS_MAX = 200_000  # of a dictionary on the agent's side; beyond it another is begun
CUTS_REMEMBERED_MAX = 10_000
HEAD_PARTS = 4


class PartKind(IntEnum):
    """What of a histogram a part is, in the order in which they come."""

    COUNT = 1
    SUM = 2
    ZERO_COUNT = 3
    ZERO_THRESHOLD = 4
    ABOVE = 5
    BELOW = 6


Cut = tuple[int, int, int, tuple[BucketSpan, ...], tuple[BucketSpan, ...]]


def part_key(series_key: bytes, kind: PartKind, schema: int, number: int) -> bytes:
    """How a dictionary names a part. No label has an empty name, so no label key looks like it."""
    return series_key + SEPARATOR + PART.pack(kind, schema, number)


def parse_part(key: bytes) -> tuple[bytes, PartKind, int, int]:
    """(series' key, kind, schema, number). Raises WireError."""
    series_key, separator = key[: -PART.size - 1], key[-PART.size - 1 : -PART.size]
    if separator != SEPARATOR:
        raise WireError("pack: a part of a histogram is damaged")
    kind, schema, number = PART.unpack(key[-PART.size :])
    try:
        return series_key, PartKind(kind), schema, number
    except ValueError:
        raise WireError(f"pack: a histogram has no part of kind {kind}") from None


class HistogramParts:
    """The parts of one layout's histograms by column, on the agent's side; only ever grows."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self._columns: dict[bytes, int] = {}
        self._cuts: dict[Cut, array[int]] = {}
        self._order: tuple[array[int], list[int]] = (
            array("i"),
            [],
        )  # of the round before: columns as found, how they stand

    def cells(
        self, layout: Layout, columns: "array[int]", histograms: Sequence[Histogram]
    ) -> "tuple[array[int], array[float]]":
        """Columns and values of these histograms of these columns of the layout. None of them lists its bounds."""
        part_columns, values = array("i"), array("d")
        others, other_values = array("i"), array("d")
        for column, one in zip(columns, histograms, strict=True):
            counts = (*one.positive_buckets, *one.negative_buckets)
            is_integer = all(number % 1 == 0 for number in (one.count, one.zero_count, *counts))
            marks = HINTS.index(one.reset_hint) | (IS_INTEGER if is_integer else 0)
            cut = column, one.schema, marks, one.positive_spans, one.negative_spans
            own = self._cuts.get(cut) or self._add(layout.key(column), cut)
            part_columns.append(own[0])
            values.append(one.count)
            others.extend(own[1:])
            other_values.extend((one.sum, one.zero_count, one.zero_threshold, *counts))
        if others != self._order[0]:
            self._order = others, sorted(range(len(others)), key=others.__getitem__)
        order = self._order[1]
        part_columns.extend(map(others.__getitem__, order))
        values.extend(map(other_values.__getitem__, order))
        return part_columns, values

    def _add(self, series_key: bytes, cut: Cut) -> "array[int]":
        _, schema, marks, above, below = cut
        keys = [part_key(series_key, PartKind.COUNT, schema, marks)]
        keys += [
            part_key(series_key, kind, schema, 0)
            for kind in (PartKind.SUM, PartKind.ZERO_COUNT, PartKind.ZERO_THRESHOLD)
        ]
        keys += [part_key(series_key, PartKind.ABOVE, schema, index) for index in bucket_indices(above)]
        keys += [part_key(series_key, PartKind.BELOW, schema, index) for index in bucket_indices(below)]
        found = array("i")
        for key in keys:
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = len(self.keys)
                self.keys.append(key)
            found.append(column)
        if len(self._cuts) >= CUTS_REMEMBERED_MAX:
            self._cuts.clear()
        self._cuts[cut] = found
        return found
