"""Native histograms in payloads: what the agent writes is what the server reads, and what the spool gives back."""

from array import array
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.histogram import CUSTOM_SCHEMA, BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT_BITS, NORMAL_NAN_BITS, STALE
from nunchi.wire.errors import WireError
from nunchi.wire.payload import Payload, decode_payload
from nunchi.wire.payload_encoder import VERSION_HISTOGRAMS, Round, Sender, encode_payload, seal
from nunchi.wire.payload_envelope import open_envelope
from nunchi.wire.payload_histogram_columns import WIDTH_MAX
from nunchi.wire.payload_rounds import PayloadRounds

SENDER = Sender("0123456789abcdef", "host-17", "0.1.0", 1_700_000_000_000)
GOLDEN = Path(__file__).parent / "golden" / "payload-2.bin"
LAYOUT = Layout.of(*(Labels.of("m", n=str(number)) for number in range(8)))
PLAIN = Histogram(
    3, 7.0, 12.5, 2.0**-128, 1.0, (BucketSpan(-3, 2), BucketSpan(4, 1)), (1.0, 2.0, 1.0), (BucketSpan(0, 1),), (2.0,)
)
CUSTOM = Histogram(CUSTOM_SCHEMA, 2.5, 3.0, 0.0, 0.0, (BucketSpan(1, 2),), (1.5, 1.0), (), (), (0.1, 1.0))

COUNTS = st.one_of(st.integers(0, 2**50).map(float), st.floats(0, 1e15))


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    sides = []
    for _ in range(2):
        sizes = draw(st.lists(st.integers(0, 4), max_size=3))
        offsets = [draw(st.integers(-100 if not number else 0, 100)) for number in range(len(sizes))]
        counts = draw(st.lists(COUNTS, min_size=sum(sizes), max_size=sum(sizes)))
        sides.append((tuple(map(BucketSpan, offsets, sizes)), tuple(counts)))
    zeros = draw(COUNTS)
    (above_spans, above), (below_spans, below) = sides
    return Histogram(
        draw(st.integers(-4, 8)), (sum(above) + sum(below) + zeros) * 1.001 // 1 + 1, draw(st.floats(allow_nan=False)),
        draw(st.sampled_from([0.0, 2.0**-128, 0.5])), zeros, above_spans, above, below_spans, below, (),
        draw(st.sampled_from(list(ResetHint))),
    )  # fmt: skip


ROUNDS = st.lists(
    st.tuples(st.integers(0, 4), st.lists(st.one_of(histograms(), st.just(CUSTOM)), max_size=4)), max_size=4
)


def rounds_of(case: list[tuple[int, list[Histogram]]]) -> list[Round]:
    return [
        Round(
            number * 10_000, LAYOUT, array("i", range(numbers + len(own))),
            array("d", [1.5] * numbers + [0.0] * len(own)), histograms=tuple(own),
        )
        for number, (numbers, own) in enumerate(case)
    ]  # fmt: skip


def found_in(payload: Payload) -> list[list[Histogram]]:
    found = []
    for one in payload.rounds:
        places = np.empty(0, np.int32) if one.histogram_of is None else one.histogram_of[one.histogram_of != FLOAT]
        assert payload.histograms is not None or not len(places)
        found.append([payload.histograms.histogram(place) for place in places.tolist()] if payload.histograms else [])
    return found


@given(ROUNDS)
def test_what_was_written_is_read_by_the_server_and_by_the_spool(case: list[tuple[int, list[Histogram]]]) -> None:
    rounds = rounds_of(case)
    written = encode_payload(SENDER, 42, 10_000, rounds)
    payload = decode_payload(written)
    assert found_in(payload) == [own for _, own in case]
    assert payload.samples == sum(numbers + len(own) for numbers, own in case)
    for one, (numbers, own) in zip(payload.rounds, case, strict=True):
        bits = one.values.view(np.uint64).tolist()
        assert bits[numbers:] == [ABSENT_BITS] * len(own)
        assert one.values[:numbers].tolist() == [1.5] * numbers
    again = PayloadRounds().read(written)
    assert [one.histograms for one in again.rounds] == [one.histograms for one in rounds]
    assert encode_payload(SENDER, 42, 10_000, again.rounds) == written


def test_a_payload_without_histograms_is_of_the_version_that_every_server_reads() -> None:
    assert encode_payload(SENDER, 1, 1000, rounds_of([(2, [])]))[0] == 1
    assert encode_payload(SENDER, 1, 1000, rounds_of([(2, [PLAIN])]))[0] == VERSION_HISTOGRAMS


def test_the_body_has_the_golden_bytes() -> None:
    written = encode_payload(SENDER, 42, 10_000, rounds_of([(1, [PLAIN, CUSTOM]), (0, [PLAIN])]))
    body = open_envelope(written, 1 << 20)
    assert body == GOLDEN.read_bytes()


def test_parts_of_a_round_keep_their_histograms() -> None:
    [one] = rounds_of([(3, [PLAIN, CUSTOM])])
    assert [one.part(begin, begin + 1).histograms for begin in range(5)] == [(), (), (), (PLAIN,), (CUSTOM,)]
    assert one.part(0, 3).histograms == ()
    assert one.part(2, 5).histograms == (PLAIN, CUSTOM)


def test_markers_of_ours_do_not_come_from_outside() -> None:
    payload = decode_payload(encode_payload(SENDER, 1, 1000, rounds_of([(0, [Histogram(sum=STALE)])])))
    assert payload.histograms is not None
    assert payload.histograms.sums.view(np.uint64).tolist() == [NORMAL_NAN_BITS]


@pytest.mark.parametrize(
    ("histogram", "what"),
    [
        (Histogram(9), "schema 9"),
        (Histogram(CUSTOM_SCHEMA, custom_values=(2.0, 1.0)), "schema -53"),
        (Histogram(CUSTOM_SCHEMA, 3.0, 0.0, 0.0, 0.0, (BucketSpan(0, 3),), (1.0,) * 3, custom_values=(1.0,)), "-53"),
        (Histogram(3, count=-1.0), "negative or infinite"),
        (Histogram(3, zero_count=float("nan")), "negative or infinite"),
        (Histogram(3, zero_threshold=float("inf")), "no width"),
        (Histogram(3, 1.0, 0.0, 0.0, 2.0), "more observations"),
        (Histogram(3, 2.0, 0.0, 0.0, 0.0, (BucketSpan(0, 1), BucketSpan(-2, 1)), (1.0, 1.0)), "overlap"),
        (Histogram(3, 1.0, 0.0, 0.0, 0.0, (BucketSpan(2**31 - 1, 1),), (1.0,)), "out of bounds"),
        (Histogram(3, 0.0, 0.0, 0.0, 0.0, (BucketSpan(0, WIDTH_MAX + 1),), (0.0,) * (WIDTH_MAX + 1)), "buckets"),
        (Histogram(3, 1.0, 0.0, 0.0, 0.0, (BucketSpan(0, 2),), (1.0,)), "as many buckets"),
    ],
)  # fmt: skip
def test_what_is_no_histogram_is_refused_with_the_reason(histogram: Histogram, what: str) -> None:
    with pytest.raises(WireError, match=what):
        decode_payload(encode_payload(SENDER, 1, 1000, rounds_of([(1, [histogram])])))


@given(st.data())
def test_a_damaged_section_behind_a_right_checksum_is_an_error_or_a_payload(data: st.DataObject) -> None:
    body = bytearray(open_envelope(encode_payload(SENDER, 1, 1000, rounds_of([(1, [PLAIN, CUSTOM])])), 1 << 20))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(60, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        payload = decode_payload(seal(bytes(body), VERSION_HISTOGRAMS))
    except WireError:
        return
    for own in found_in(payload):
        for histogram in own:
            assert list(accumulate(histogram.positive_buckets, initial=0.0))[-1] >= 0
