from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.intake.registry.errors import AgentConflictError, NotStoredError
from nunchi.intake.registry.sequences import RANGES_MAX, SequenceRanges
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import logger
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.wire.payload import Sender
from nunchi.wire.payload_encoder import PayloadEncoder, Round

STALE = "stale"
INTERVAL_MS = 10_000


class PushingAgent:
    """Makes payloads as an agent does and hands them to a registry."""

    def __init__(self, registry, clock, *, agent_id="a1", name="web-1", epoch=1, address="10.0.0.1") -> None:
        self.registry, self.clock, self.address = registry, clock, address
        self.sender = Sender(agent_id, name, "0.1", epoch)
        self.encoder = PayloadEncoder(self.sender)
        self.layout = Layout()
        self.columns: dict[Labels, int] = {}
        self.sequence = 0

    def round(self, samples: dict[Labels, float], timestamp_ms: int | None = None) -> Round:
        columns = array("i")
        for labels in samples:
            if labels not in self.columns:
                self.columns[labels] = self.layout.append(labels.key())
            columns.append(self.columns[labels])
        return Round(timestamp_ms or self.clock.now_ms(), self.layout, columns, array("d", samples.values()))

    def payload(self, *rounds: Round) -> bytes:
        body = self.encoder.encode(self.sequence, INTERVAL_MS, rounds)
        self.sequence += sum(len(one.values) for one in rounds)
        return body

    def send(self, body: bytes):
        reader = self.registry.reader(self.sender.agent_id)
        return self.registry.receive(reader.read(body), self.address, reader)

    def push(self, samples: dict[Labels, float], timestamp_ms: int | None = None):
        return self.send(self.payload(self.round(samples, timestamp_ms)))


LOAD = Labels.of("node_load1", job="node")
DISK = Labels.of("node_disk", job="node", device="sda")


@pytest.fixture
def registry(door, clock, telemetry) -> AgentRegistry:
    return AgentRegistry(door, clock, telemetry, logger("test"))


@pytest.fixture
def agent(registry, clock) -> PushingAgent:
    return PushingAgent(registry, clock)


async def wait(clock, registry, seconds: float) -> None:
    for _ in range(round(seconds)):
        await clock.advance(1.0)
        registry.look()


def test_a_round_is_stored_under_the_identity_that_the_server_gives(agent, store, clock) -> None:
    done = agent.push({LOAD: 1.0, Labels.of("pg_up", job="postgres", instance="db:5432"): 2.0, Labels.of("x"): 3.0})
    assert (done.accepted, done.duplicate, done.rejected) == (3, 0, {})
    now = clock.now_ms()
    assert store.samples() == {
        'node_load1{instance="web-1", job="node"}': [(now, 1.0)],
        'pg_up{exported_instance="db:5432", instance="web-1", job="postgres"}': [(now, 2.0)],
        'x{instance="web-1", job="node"}': [(now, 3.0)],
        'up{instance="web-1", job="node"}': [(now, 1.0)],
    }


def test_a_payload_sent_again_is_acknowledged_and_counted_apart(agent, registry, store) -> None:
    body = agent.payload(agent.round({LOAD: 1.0, DISK: 2.0}))
    agent.send(body)
    done = agent.send(body)
    assert (done.accepted, done.duplicate, done.rejected) == (0, 2, {})
    assert registry.agents()[0].duplicates == 2
    assert store.values("node_load1") == [1.0]


def test_half_a_payload_sent_again_stores_the_other_half(agent, store) -> None:
    one = agent.round({LOAD: 1.0, DISK: 2.0})
    first = agent.encoder.encode(0, INTERVAL_MS, [Round(one.timestamp_ms, one.layout, one.columns[:1], one.values[:1])])
    agent.send(first)
    done = agent.send(agent.payload(one))
    assert (done.accepted, done.duplicate) == (1, 1)
    assert store.values("node_disk") == [2.0]


async def test_fresh_rounds_may_overtake_the_backlog(agent, store, clock) -> None:
    late = []
    for value in range(3):
        late.append(agent.payload(agent.round({LOAD: float(value)})))
        await clock.advance(10.0)
    agent.push({LOAD: 3.0})
    for body in (late[1], late[0], late[2], late[1]):
        agent.send(body)
    assert store.values("node_load1") == [0, 1, 2, 3]
    assert store.values("up") == [1]


async def test_after_three_missed_intervals_up_is_zero_and_the_series_end(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    await wait(clock, registry, 30)
    assert store.values("up") == [1]
    assert registry.agents()[0].is_up
    await wait(clock, registry, 1)
    assert store.values("up") == [1, 0]
    assert store.values("node_load1") == [1, STALE]
    assert not registry.agents()[0].is_up
    await wait(clock, registry, 20)
    assert store.values("up") == [1, 0, 0, 0]
    assert store.values("node_load1") == [1, STALE]


async def test_a_backlog_after_an_outage_fills_samples_and_leaves_up_alone(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    missed = []
    for _ in range(5):
        await wait(clock, registry, 10)
        missed.append(agent.payload(agent.round({LOAD: 2.0})))
    await wait(clock, registry, 2)
    ups = store.values("up")
    assert ups == [1, 0, 0, 0]
    agent.push({LOAD: 3.0})
    for body in missed:
        agent.send(body)
    assert store.values("up") == [*ups, 1]
    assert store.values("node_load1") == [1, 2, 2, 2, STALE, 2, 2, 3]
    assert registry.agents()[0].is_up


async def test_a_late_round_of_the_very_moment_of_a_marker_takes_its_place(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    missed = []
    for _ in range(40):
        await clock.advance(1.0)
        missed.append(agent.payload(agent.round({LOAD: 2.0})))
        registry.look()
    ups = store.values("up")
    assert STALE in store.values("node_load1")
    answers = [agent.send(body) for body in reversed(missed)]
    assert [(done.accepted, done.rejected) for done in answers] == [(1, {})] * 40
    assert store.values("node_load1") == [1, *[2] * 40]
    assert store.values("up")[: len(ups)] == ups  # what was said of the agent then stands


async def test_a_series_that_no_longer_comes_is_marked_after_two_minutes(agent, store, clock) -> None:
    for _ in range(3):
        agent.push({LOAD: 1.0, DISK: 1.0})
        await clock.advance(10.0)
    for _ in range(12):
        agent.push({LOAD: 1.0})
        await clock.advance(10.0)
    assert STALE not in store.values("node_disk")
    agent.push({LOAD: 1.0})
    await clock.advance(10.0)
    agent.push({LOAD: 1.0, DISK: 5.0})
    assert store.values("node_disk") == [1, 1, 1, STALE, 5]


async def test_a_slow_check_is_not_marked_between_its_runs(agent, store, clock) -> None:
    for number in range(40):
        agent.push({LOAD: 1.0, DISK: 1.0} if number % 6 == 0 else {LOAD: 1.0})
        await clock.advance(10.0)
    assert store.values("node_disk") == [1] * 7


async def test_a_restart_is_taken_over_and_its_numbers_begin_again(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    await clock.advance(10.0)
    again = PushingAgent(registry, clock, epoch=2)
    assert again.push({LOAD: 2.0}).accepted == 1
    assert store.values("node_load1") == [1, 2]


async def test_the_backlog_of_an_earlier_start_is_taken(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    await clock.advance(10.0)
    late = agent.payload(agent.round({LOAD: 2.0}))
    await clock.advance(10.0)
    PushingAgent(registry, clock, epoch=2).push({LOAD: 3.0})
    assert agent.send(late).accepted == 1
    assert store.values("node_load1") == [1, 2, 3]


async def test_a_second_live_agent_elsewhere_with_the_same_id_is_refused_and_named(agent, registry, clock) -> None:
    agent.push({LOAD: 1.0})
    await clock.advance(1.0)
    clone = PushingAgent(registry, clock, epoch=2, name="web-2", address="10.0.0.2")
    with pytest.raises(AgentConflictError, match=r"web-1 at 10.0.0.1 is live and has the id a1 too.*web-2 at 10.0.0.2"):
        clone.push({LOAD: 2.0})
    assert registry.agents()[0].conflict == "web-2 at 10.0.0.2"
    agent.push({LOAD: 1.0})


async def test_once_the_first_is_silent_the_second_is_taken(agent, registry, clock) -> None:
    agent.push({LOAD: 1.0})
    clone = PushingAgent(registry, clock, epoch=2, name="web-2", address="10.0.0.2")
    await wait(clock, registry, 31)
    clone.push({LOAD: 2.0})
    (status,) = registry.agents()
    assert (status.instance, status.address, status.conflict) == ("web-2", "10.0.0.2", "")


async def test_the_older_of_two_on_one_host_is_refused(agent, registry, clock) -> None:
    agent.push({LOAD: 1.0})
    await clock.advance(1.0)
    PushingAgent(registry, clock, epoch=2).push({LOAD: 2.0})
    await clock.advance(1.0)
    with pytest.raises(AgentConflictError, match="has the id a1 too"):
        agent.push({LOAD: 3.0})


async def test_two_ids_of_one_name_cannot_be_told_apart(agent, registry, clock) -> None:
    agent.push({LOAD: 1.0})
    with pytest.raises(
        AgentConflictError, match=r"another live agent, at 10\.0\.0\.1, is called web-1: give one of them"
    ):
        PushingAgent(registry, clock, agent_id="b2", address="10.0.0.9").push({LOAD: 1.0})


async def test_an_agent_whose_clock_is_ahead_still_goes_down(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0}, clock.now_ms() + 300_000)
    await wait(clock, registry, 31)
    assert store.values("up") == [1, 0]
    assert store.values("node_load1") == [1, STALE]


async def test_a_clock_that_is_set_back_does_not_make_an_agent_silent(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0}, clock.now_ms() + 500_000)
    for _ in range(6):
        await wait(clock, registry, 10)
        agent.push({LOAD: 2.0})
    assert registry.agents()[0].is_up
    assert store.values("up") == [1] * 7


async def test_an_agent_silent_for_a_day_is_forgotten(agent, registry, store, clock) -> None:
    agent.push({LOAD: 1.0})
    await wait(clock, registry, 31)
    await clock.advance(24 * 3600.0)
    registry.look()
    assert registry.agents() == []
    assert store.values("up")[-1] == STALE


def test_nothing_counts_as_taken_that_was_not_committed(agent, store) -> None:
    body = agent.payload(agent.round({LOAD: 1.0}))
    real = store.publish

    def full(*_) -> None:
        raise WorldError("disk full")

    store.publish = full
    with pytest.raises(NotStoredError, match="disk full"):
        agent.send(body)
    store.publish = real
    done = agent.send(body)
    assert (done.accepted, done.duplicate) == (1, 0)


def test_samples_that_the_store_refuses_are_acknowledged_with_the_reason(agent, clock) -> None:
    agent.push({LOAD: 1.0})
    done = agent.push({LOAD: 2.0})
    assert (done.accepted, done.rejected) == (0, {"duplicate_timestamp": 1})
    assert agent.push({LOAD: 1.0}, clock.now_ms() + 10**7).rejected == {"too_far_in_future": 1}


async def test_series_that_come_and_go_do_not_grow_the_layout_for_ever(agent, registry, store, clock) -> None:
    for number in range(60):
        agent.push({Labels.of("m", job="node", x=f"{number}-{inner}"): 1.0 for inner in range(50)})
        await clock.advance(10.0)
    series = registry._agents["a1"].series
    assert len(series._passage.layout) < 2500
    ended = [values for values in store.samples("m").values() if values[-1][1] == STALE]
    assert len(ended) > 40 * 50


numbers = st.integers(0, 60)


@given(st.lists(st.tuples(numbers, st.integers(1, 12)), max_size=30), numbers, st.integers(0, 30))
def test_ranges_remember_what_a_set_would(taken: list[tuple[int, int]], first: int, count: int) -> None:
    ranges, obvious = SequenceRanges(), set()
    for begin, length in taken:
        fresh = ranges.taken(begin, length).tolist()
        assert fresh == [number in obvious for number in range(begin, begin + length)]
        ranges.take(begin, length)
        obvious |= set(range(begin, begin + length))
    assert ranges.taken(first, count).tolist() == [number in obvious for number in range(first, first + count)]
    assert ranges.high_water == (max(obvious) + 1 if obvious else 0)


def test_ranges_stay_bounded_and_close_the_oldest_gaps() -> None:
    ranges = SequenceRanges()
    for number in range(RANGES_MAX + 100):
        ranges.take(2 * number, 1)
    assert len(ranges) == RANGES_MAX
    assert np.all(ranges.taken(0, 150))
    assert ranges.taken(2 * RANGES_MAX, 4).tolist() == [True, False, True, False]
