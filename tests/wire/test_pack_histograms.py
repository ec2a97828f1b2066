"""Histograms as the cells of packs: what comes back is what was sent, whatever their buckets do; golden bytes; damage."""

import math
import struct
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.intake.receive.pack_histograms import PartColumns
from nunchi.model.histogram import BucketSpan, Histogram, ResetHint, bucket_indices, spans_over
from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import NORMAL_NAN_BITS, STALE, bits_of
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.kernels.pack import encode_cells
from nunchi.wire.pack import PackHead, PackKind
from nunchi.wire.pack_histograms import HistogramParts, PartKind, parse_part, part_key
from nunchi.wire.pack_seal import PackMode

KEY = Labels.of("h", job="x").key()
SIDES = st.dictionaries(st.integers(-300, 300), st.integers(0, 10**6).map(float), max_size=30)


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    """As StatsD makes them, and stranger ones."""
    above, below = draw(SIDES), draw(SIDES)
    part = draw(st.sampled_from([0.0, 0.5]))  # rates make counts that are not whole
    zero = float(draw(st.integers(0, 9)))
    count = sum(above.values()) + sum(below.values()) + zero + part
    return Histogram(
        draw(st.integers(-4, 8)), count, draw(st.floats(allow_nan=False)), draw(st.sampled_from([0.0, 2.0**-128])), zero,
        spans_over(sorted(above)), tuple(above[index] for index in sorted(above)),
        spans_over(sorted(below)), tuple(below[index] for index in sorted(below)), (), draw(st.sampled_from(list(ResetHint))),
    )  # fmt: skip


def histogram_at(found: HistogramColumns, number: int) -> Histogram:
    """One of the columns as an object."""
    shape = found.shapes[found.shape_of[number]]
    counts = tuple(found.buckets[found.offsets[number] : found.offsets[number + 1]].tolist())
    width = shape.positive_width
    hints = [ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE]
    return Histogram(
        shape.schema, float(found.counts[number]), float(found.sums[number]), shape.zero_threshold,
        float(found.zero_counts[number]), shape.positive_spans, counts[:width], shape.negative_spans, counts[width:], (),
        hints[found.hints[number]],
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(histograms(), min_size=1, max_size=3), max_size=4))
def test_what_comes_back_is_what_was_sent_round_after_round(rounds: list[list[Histogram]]) -> None:
    layout = Layout.of(*(Labels.of("h", n=str(number)) for number in range(3)))
    sent, received = HistogramParts(), PartColumns()
    known = 0
    for one in rounds:
        columns, values = sent.cells(layout, array("i", range(len(one))), one)
        received.add(sent.keys[known:])
        known = len(sent.keys)
        series, found = received.assemble(np.array(columns), np.array(values))
        assert [received.series[number] for number in series] == [layout.key(number) for number in range(len(one))]
        assert [histogram_at(found, number) for number in range(len(one))] == one
        whole = [all(x % 1 == 0 for x in (h.count, *h.positive_buckets, *h.negative_buckets)) for h in one]
        assert found.is_integer.tolist() == whole


@given(st.lists(st.integers(-1000, 1000), unique=True, max_size=50).map(sorted))
def test_spans_are_their_indexes(indexes: list[int]) -> None:
    assert list(bucket_indices(spans_over(indexes))) == indexes


def test_a_new_bucket_costs_one_part_and_the_others_stay() -> None:
    layout, parts = Layout.of(Labels.of("h")), HistogramParts()
    one = Histogram(3, 3.0, 1.0, 0.0, 0.0, (BucketSpan(2, 2),), (1.0, 2.0))
    first, _ = parts.cells(layout, array("i", [0]), [one])
    two = Histogram(3, 4.0, 1.0, 0.0, 0.0, (BucketSpan(2, 3),), (1.0, 2.0, 1.0))
    second, _ = parts.cells(layout, array("i", [0]), [two])
    assert second.tolist() == [*first.tolist(), len(first)]
    both, _ = HistogramParts().cells(Layout.of(Labels.of("h"), Labels.of("i")), array("i", [0, 1]), [one, two])
    assert both.tolist() == [0, 6, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], "counts first, then nothing is jumped over"
    assert len(parts.keys) == len(first) + 1


def test_golden_parts_and_datagram() -> None:
    """Every byte, as docs/formats/pack.md has them, written here by hand."""
    layout, parts = Layout.of(Labels.of("h")), HistogramParts()
    one = Histogram(3, 6.0, 0.25, 2.0**-128, 1.0, (BucketSpan(-2, 2),), (2.0, 3.0), (BucketSpan(5, 1),), (0.0,))
    columns, values = parts.cells(layout, array("i", [0]), [one])
    series = b"__name__\xffh\xff"
    assert parts.keys == [
        series + b"\xff" + bytes.fromhex(text)
        for text in (
            "010300000004", "020300000000", "030300000000", "040300000000", "0503fffffffe", "0503ffffffff", "060300000005",
        )
    ]  # fmt: skip
    assert (columns.tolist(), values.tolist()) == (list(range(7)), [6.0, 0.25, 1.0, 2.0**-128, 2.0, 3.0, 0.0])
    [body] = pack.encode_data(7, 2, 0, 1_700_000_000_000, 5, columns, values, array("d"), 1000)
    assert body == bytes.fromhex(
        "00000007 00000002 00000000 0000018bcfe56800 0000000000000005 00000007 00000000 00000007"
        "61"  # 6, zigzag 12
        "9203"  # 25 hundredths, zigzag 50
        "11"  # 1
        "36f037"  # the bits of 2^-128 without their six low bytes, which are zero
        "21 31 00"  # 2, 3, and one cell as its base has it
    )  # fmt: skip
    head = PackHead(PackMode.AEAD, PackKind.HISTOGRAMS, b"sessionX", 9).encode()
    assert head == b"NP\x02\x08sessionX" + (9).to_bytes(8, "big")
    assert PackHead(PackMode.HMAC, PackKind.PARTS, b"sessionX", 9).encode()[:4] == b"NP\x82\x09"


@pytest.mark.parametrize(
    "datagram", [b"NP\x01\x08", b"NP\x01\x09", b"NP\x02\x04", b"NP\x82\x01", b"NP\x03\x08", b"NP\x02\x0a"]
)
def test_a_kind_has_one_version(datagram: bytes) -> None:
    with pytest.raises(WireError):
        pack.kind_of(datagram)


def test_a_server_of_before_says_nothing_of_its_version() -> None:
    welcome = pack.Welcome(bytes(16), 1, 2, 3)
    body = pack.encode_welcome(welcome)
    assert (welcome.version, body[-1]) == (2, 2)
    assert pack.decode_welcome(body[:-1]).version == 1


COUNT, SUM, ZERO, THRESHOLD = (part_key(KEY, kind, 3, 0) for kind in list(PartKind)[:4])
ABOVE, BELOW = (part_key(KEY, kind, 3, 1) for kind in list(PartKind)[4:])
OTHER = Labels.of("other").key()
OTHER_COUNT, OTHER_SUM, OTHER_ZERO, OTHER_THRESHOLD = (part_key(OTHER, kind, 3, 0) for kind in list(PartKind)[:4])


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ([], []),
        ([COUNT, SUM, ZERO], [1, 1, 1]),
        ([SUM, COUNT, ZERO, THRESHOLD], [1, 1, 1, 0]),
        ([COUNT, SUM, ZERO, THRESHOLD, SUM], [1, 1, 0, 0, 1]),
        ([COUNT, SUM, ZERO, THRESHOLD, part_key(KEY, PartKind.ABOVE, 4, 0)], [2, 1, 0, 0, 1]),
        ([COUNT, SUM, ZERO, THRESHOLD, part_key(OTHER, PartKind.ABOVE, 3, 0)], [2, 1, 0, 0, 1]),
        ([COUNT, SUM, ZERO, THRESHOLD, part_key(KEY, PartKind.COUNT, 3, 1), SUM, ZERO, THRESHOLD], [1, 1, 0, 0] * 2),
        ([part_key(KEY, kind, 9, 0) for kind in list(PartKind)[:4]], [1, 1, 0, 0]),
        ([part_key(KEY, kind, -53, 0) for kind in list(PartKind)[:4]], [1, 1, 0, 0]),
        ([part_key(KEY, PartKind.COUNT, 3, 8), SUM, ZERO, THRESHOLD], [1, 1, 0, 0]),
        ([COUNT, SUM, ZERO, THRESHOLD], [-1, 1, 0, 0]),
        ([COUNT, SUM, ZERO, THRESHOLD], [math.nan, 1, 0, 0]),
        ([COUNT, SUM, ZERO, THRESHOLD], [1, 1, 0, -1]),
        ([COUNT, SUM, ZERO, THRESHOLD], [1, 1, 0, math.inf]),
        ([COUNT, SUM, ZERO, THRESHOLD, part_key(KEY, PartKind.ABOVE, 3, (1 << 31) - 1)], [1, 1, 0, 0, 1]),
    ],
)  # fmt: skip
def test_parts_that_are_no_histograms_are_refused(keys: list[bytes], values: list[float]) -> None:
    parts, distinct = PartColumns(), list(dict.fromkeys(keys))
    parts.add(distinct)
    with pytest.raises(WireError):
        parts.assemble(np.array([distinct.index(key) for key in keys], np.int32), np.array(values, np.float64))


@settings(deadline=None)
@given(st.permutations(range(7)))
def test_parts_behind_the_counts_may_stand_in_any_order(order: list[int]) -> None:
    lower = part_key(KEY, PartKind.ABOVE, 3, -5)
    cells = [(SUM, 0.5), (ZERO, 1.0), (THRESHOLD, 0.25), (ABOVE, 2.0), (BELOW, 3.0), (lower, 4.0), (OTHER_SUM, 9.0)]
    cells = [
        (COUNT, 10.0),
        (OTHER_COUNT, 0.0),
        *(cells[place] for place in order),
        (OTHER_ZERO, 0.0),
        (OTHER_THRESHOLD, 0.0),
    ]
    parts = PartColumns()
    parts.add([key for key, _ in cells])
    series, found = parts.assemble(np.arange(len(cells), dtype=np.int32), np.array([value for _, value in cells]))
    assert series.tolist() == [0, 1]
    above, below = (BucketSpan(-5, 1), BucketSpan(5, 1)), (BucketSpan(1, 1),)
    assert histogram_at(found, 0) == Histogram(3, 10.0, 0.5, 0.25, 1.0, above, (4.0, 2.0), below, (3.0,))
    assert histogram_at(found, 1) == Histogram(3, 0.0, 9.0)


def test_a_marker_of_ours_never_comes_in() -> None:
    parts = PartColumns()
    parts.add([COUNT, SUM, ZERO, THRESHOLD])
    _, found = parts.assemble(np.arange(4, dtype=np.int32), np.array([0.0, STALE, 0.0, 0.0]))
    assert bits_of(float(found.sums[0])) == NORMAL_NAN_BITS


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.booleans())
def test_keys_of_any_bytes_are_read_or_refused(data: bytes, is_near: bool) -> None:
    key = KEY + b"\xff" + data if is_near else data
    try:
        series, kind, schema, number = parse_part(key)
    except WireError:
        return
    assert part_key(series, kind, schema, number) == key


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=20), st.lists(st.floats(), min_size=20, max_size=20))
def test_cells_of_any_order_are_histograms_or_refused(columns: list[int], values: list[float]) -> None:
    parts = PartColumns()
    parts.add([COUNT, SUM, ZERO, THRESHOLD, ABOVE, BELOW, part_key(OTHER, PartKind.COUNT, 3, 0)])
    try:
        series, found = parts.assemble(np.array(columns, np.int32), np.array(values[: len(columns)]))
    except WireError:
        return
    assert len(series) == len(found) >= 1
    assert len(found.buckets) == found.offsets[-1]


def test_a_histogram_that_stands_still_costs_a_few_bytes() -> None:
    layout, parts = Layout.of(Labels.of("h")), HistogramParts()
    one = Histogram(3, 60.0, 1.5, 2.0**-128, 0.0, (BucketSpan(0, 60),), (1.0,) * 60)
    columns, values = parts.cells(layout, array("i", [0]), [one])
    base = array("d", pack.spread(columns, values))
    body, end = encode_cells(columns, values, 0, base, 1000)
    assert (end, len(body)) == (64, 2)
    assert struct.calcsize("<64d") == 512
