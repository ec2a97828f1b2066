"""Native histograms of agents: pushed beside numbers, stored once, replaced, and ended like every series."""

from array import array
from dataclasses import replace

import pytest
from tests.intake.test_registry import LOAD, PushingAgent, wait

from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.logs import logger
from nunchi.model.histogram import BucketSpan, Histogram, ResetHint
from nunchi.model.histogram_columns import FLOAT
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.staleness import is_stale
from nunchi.wire.payload_encoder import Round

TIMER = Labels.of("request_seconds", job="statsd")
UNKNOWN = ResetHint.UNKNOWN
STORED = Labels.of("request_seconds", job="statsd", instance="web-1")


def histogram(count: float) -> Histogram:
    return Histogram(3, count, 2.5 * count, 2.0**-128, 0.0, (BucketSpan(-4, 1),), (count,))


@pytest.fixture
def registry(door, clock, telemetry) -> AgentRegistry:
    return AgentRegistry(door, clock, telemetry, logger("test"))


@pytest.fixture
def agent(registry, clock) -> PushingAgent:
    return PushingAgent(registry, clock)


def round_of(agent: PushingAgent, load: float, count: float, *, replaces: bool = False) -> Round:
    for labels in (LOAD, TIMER):
        if labels not in agent.columns:
            agent.columns[labels] = agent.layout.append(labels.key())
    columns = array("i", [agent.columns[LOAD], agent.columns[TIMER]])
    return Round(
        agent.clock.now_ms(), agent.layout, columns, array("d", [load, 0.0]), replaces, histograms=(histogram(count),)
    )


def histograms_in(store) -> list[Histogram | str]:
    """What the timer's series has, in its order; a word where it ended."""
    selection = store.querier().select([Matcher("__name__", MatchOperator.EQUAL, "request_seconds")], 0, 1 << 60)
    assert [str(labels) for labels in map(selection.labels.labels, range(len(selection.labels)))] == [str(STORED)]
    [tile] = selection.read(0, 1)
    found: list[Histogram | str] = []
    for number, value in zip(tile.histogram_of.tolist(), tile.values.tolist(), strict=True):
        assert number != FLOAT or is_stale(value)
        found.append("ended" if number == FLOAT else replace(tile.histograms.histogram(number), reset_hint=UNKNOWN))
    return found


def test_a_round_of_both_is_stored_and_what_is_sent_again_is_known(agent, store, clock) -> None:
    body = agent.payload(round_of(agent, 1.0, 4))
    assert agent.send(body).accepted == 2
    done = agent.send(body)
    assert (done.accepted, done.duplicate) == (0, 2)
    assert histograms_in(store) == [histogram(4)]


def test_corrected_histograms_take_the_place_of_earlier_ones(agent, store, clock) -> None:
    agent.send(agent.payload(round_of(agent, 1.0, 4, replaces=True)))
    agent.send(agent.payload(round_of(agent, 1.0, 5, replaces=True)))
    assert histograms_in(store) == [histogram(5)]


async def test_a_histogram_series_ends_when_its_agent_falls_silent_and_goes_on_with_it(
    agent, registry, store, clock
) -> None:
    agent.send(agent.payload(round_of(agent, 1.0, 4)))
    await wait(clock, registry, 60)
    agent.send(agent.payload(round_of(agent, 1.0, 6)))
    assert histograms_in(store) == [histogram(4), "ended", histogram(6)]
