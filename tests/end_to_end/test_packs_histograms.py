"""Native histograms as packs over a wire that loses, repeats, reorders, damages and parts; both ends of either version."""

import asyncio
import random
from array import array
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.end_to_end.test_packs import AGENT, FAULTS, SOURCE, Faults, House
from tests.wire.test_pack_histograms import histogram_at

from nunchi.agent.forwarder.delivery import Fate, Verdict
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.spool import Lot, Shipment
from nunchi.agent.udp_sender import PackWay
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.model.histogram import BucketSpan, Histogram, spans_over
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS, STALE, STALE_BITS, bits_of
from nunchi.wire import pack
from nunchi.wire.payload import Payload, decode_payload
from nunchi.wire.payload_encoder import Round, Sender
from nunchi.wire.payload_rounds import WrittenPayload

Cell = tuple[int, bytes, object]


class HistogramHouse(House):
    """Rounds of numbers and histograms, pushed as the forwarder pushes them: packs first, HTTP where they bring nothing."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.rows = Layout()
        self.buckets: dict[int, dict[int, float]] = {}
        self.known: dict[tuple[int, int], Cell] = {}  # what was pushed
        self.kept: dict[tuple[int, int], Cell] = {}  # what was stored
        self.carried = 0  # samples by HTTP
        self.shift = 0

    def start_server(self) -> None:
        self.store.take = self.take_payload  # type: ignore[method-assign]
        super().start_server()

    def take_payload(self, payload: Payload, _: str) -> Acknowledgement:
        number, duplicate = payload.first_sequence, 0
        for one in payload.rounds:
            places = [-1] * len(one.columns) if one.histogram_of is None else one.histogram_of.tolist()
            for column, value, place in zip(one.columns.tolist(), one.values.tolist(), places, strict=True):
                shown: object = value
                if place >= 0:
                    assert payload.histograms is not None
                    shown = histogram_at(payload.histograms, place)
                cell = one.timestamp_ms, one.layout.keys[column], shown
                known = self.kept.setdefault((payload.sender.epoch, number), cell)
                assert known == cell
                duplicate += known is not cell
                number += 1
        assert number == payload.first_sequence + payload.samples
        return Acknowledgement(payload.samples - duplicate, duplicate, {})

    def observed(self, series: int) -> Histogram:
        """One more observation of a series, its buckets now and then cut coarser."""
        own = self.buckets.setdefault(series, {})
        for _ in range(self.random.randrange(4)):
            index = self.random.choice([-7, 0, 1, 2, 3, 4, 30, self.random.randrange(100)]) >> self.shift
            own[index] = own.get(index, 0.0) + self.random.choice([1.0, 2.5])
        count = sum(own.values())
        counts = tuple(own[index] for index in sorted(own))
        return Histogram(3 - self.shift, count, count / 3, 2.0**-128, 0.0, spans_over(sorted(own)), counts)

    async def push_both(self, numbers: int, series: int) -> None:
        while len(self.rows) < numbers + series:
            self.rows.append(Labels.of("h_seconds", n=str(len(self.rows)), job="test").key())
        now_ms, first = self.clock.now_ms(), self.next_number
        columns = array("i", range(numbers + series))
        values = array("d", [self.random.random() for _ in range(numbers)] + [0.0] * series)
        histograms = tuple(self.observed(column) for column in columns[numbers:])
        for column, value in zip(columns, (*values[:numbers], *histograms), strict=True):
            self.known[self.identity.epoch, self.next_number] = now_ms, self.rows.key(column), value
            self.next_number += 1
        sender = Sender(AGENT, "web-1", "0.1", self.identity.epoch)
        one = Round(now_ms, self.rows, columns, values, histograms=histograms)
        metadata = {"h_seconds": Metadata(MetricType.HISTOGRAM, "What it takes.")}
        encoder = PushEncoder(self.identity, 10_000)
        body = encoder.encode_written(WrittenPayload(sender, first, 10_000, (one,), metadata))
        way = PackWay(self.sender, encoder)
        shipment = Shipment(body, len(columns), Lot((0,)))
        verdict = await self.wait(way.push(shipment, self.carry_by_http))
        assert verdict.fate is Fate.ACCEPTED

    async def carry_by_http(self, shipment: Shipment) -> Verdict:
        payload = decode_payload(shipment.body)
        assert payload.samples == shipment.samples
        self.carried += payload.samples
        self.take_payload(payload, "")
        return Verdict(Fate.ACCEPTED)

    async def wait(self, pushing: Awaitable[Verdict]) -> Verdict:
        task = asyncio.ensure_future(pushing)
        for _ in range(1000):
            if task.done():
                break
            await self.clock.advance(0.05)
            for source, answer in self.server.look():
                assert source == SOURCE
                self.to_agent(answer)
        return task.result()


async def test_histograms_go_as_packs_beside_their_rounds() -> None:
    house = HistogramHouse(1)
    for numbers, series in ((5, 3), (5, 3), (0, 4), (20, 12), (20, 0), (20, 12)):
        await house.push_both(numbers, series)
    assert house.carried == 0
    assert house.kept == house.known
    assert house.refused() == {}
    assert house.counted()["lost"] == 0


STEPS = st.lists(
    st.tuples(
        FAULTS, st.sampled_from(["", "", "", "server", "agent", "coarser"]), st.integers(0, 30), st.integers(0, 12)
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), STEPS)
async def test_whatever_the_wire_does_every_histogram_is_stored_once_and_right(
    seed: int, steps: list[tuple[Faults, str, int, int]]
) -> None:
    house = HistogramHouse(seed)
    for faults, event, numbers, series in steps:
        house.faults = faults
        if event == "server":
            house.start_server()
        if event == "agent":
            house.start_agent()
        if event == "coarser" and house.shift < 5:
            house.shift += 1
            house.buckets.clear()
        if numbers + series:
            await house.push_both(numbers, series)
        await house.clock.advance(9)
    assert house.kept == house.known
    assert all(answer <= asked for answer, asked in house.answers)
    house.faults = Faults()
    await house.clock.advance(60)
    for _ in range(4):
        carried = house.carried
        await house.push_both(10, 5)
        await house.clock.advance(9)
    assert house.carried == carried
    assert house.kept == house.known


async def test_a_server_of_before_gets_numbers_as_packs_and_histograms_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    house = HistogramHouse(1)

    def encode_welcome(welcome: pack.Welcome) -> bytes:
        return pack.WELCOME_BODY.pack(welcome.cookie, welcome.sent_ms, welcome.received_ms, welcome.answered_ms)

    monkeypatch.setattr(pack, "encode_welcome", encode_welcome)
    for _ in range(3):
        await house.push_both(5, 2)
    assert house.carried == 6
    assert house.kept == house.known
    assert {one[2] & 0x7F for one in house.recorded} == {1}


async def test_histograms_of_listed_bounds_and_names_too_long_for_a_datagram_go_by_http() -> None:
    house = HistogramHouse(1)
    layout = Layout.of(Labels.of("custom"))
    listed = Histogram(-53, 3.0, 1.0, 0.0, 0.0, (BucketSpan(0, 2),), (1.0, 2.0), (), (), (0.5,))
    sender = Sender(AGENT, "web-1", "0.1", house.identity.epoch)
    one = Round(1, layout, array("i", [0]), array("d", [0.0]), histograms=(listed,))
    assert await house.sender.push(WrittenPayload(sender, 0, 10_000, (one,), {})) is None
    assert house.recorded == []
    await house.push_both(3, 1)
    house.recorded.clear()
    long = Layout.of(Labels.of("m", path="x" * 2000))
    one = Round(1, long, array("i", [0]), array("d", [1.0]))
    assert await house.sender.push(WrittenPayload(sender, 0, 10_000, (one,), {})) is None
    assert house.recorded == [], "nothing that cannot succeed is sent"
    await house.push_both(3, 1)
    assert house.carried == 0


@pytest.mark.parametrize(("sent", "stored"), [(ABSENT, NORMAL_NAN_BITS), (STALE, STALE_BITS)])
async def test_of_nans_only_the_staleness_marker_keeps_its_bits(sent: float, stored: int) -> None:
    house, found = House(1), list[int]()

    def take(payload: Payload, _: str) -> Acknowledgement:
        found.extend(bits_of(value) for value in payload.rounds[0].values.tolist())
        return Acknowledgement(payload.samples, 0, {})

    house.store.take = take  # type: ignore[method-assign]
    house.start_server()
    sender = Sender(AGENT, "web-1", "0.1", house.identity.epoch)
    for number in range(3):
        one = Round(number, Layout.of(Labels.of("m")), array("i", [0]), array("d", [sent]))
        task = asyncio.ensure_future(house.sender.push(WrittenPayload(sender, number, 10_000, (one,), {})))
        while not task.done():
            await house.clock.advance(0.05)
        assert task.result() is not None
    assert found == [stored] * 3


def arrive_wrong(source: random.Random) -> Callable[[bytes], bytes]:
    """Another order of the same bytes."""
    return lambda body: bytes(source.sample(list(body), len(body)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
async def test_parts_that_an_agent_with_a_key_makes_up_store_nothing_wrong(seed: int) -> None:
    """Who has a key may say what it likes; what is stored are histograms, or nothing."""
    house = HistogramHouse(seed)
    await house.push_both(2, 2)
    session = house.sender._session
    assert session is not None
    spoil = arrive_wrong(random.Random(seed))
    for kind, body in (
        (pack.PackKind.PARTS, pack.DICTIONARY_BODY.pack(2, 60, 1) + spoil(bytes(range(40)))),
        (pack.PackKind.HISTOGRAMS, pack.DATA_BODY.pack(2, 50, 0, 1, 900, 9, 0, 9) + spoil(bytes(range(1, 80, 8)))),
        (pack.PackKind.DATA, pack.DATA_BODY.pack(2, 51, 0, 1, 900, 1, 0, 1) + b"\x09"),
        (pack.PackKind.DICTIONARY, pack.DICTIONARY_BODY.pack(2, 0, 0) + b"\x00"),
    ):
        house.server.receive(session._seal(kind, body), SOURCE, "10.0.0.1")
    kept = {key: cell for key, cell in house.kept.items() if key not in house.known}
    assert all(isinstance(cell[2], Histogram) for cell in kept.values())
    assert house.kept.items() >= house.known.items()
