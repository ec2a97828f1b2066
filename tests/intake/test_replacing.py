"""Rounds that replace: values of a cloud with their own times, corrected later, beside an agent's ordinary rounds."""

from array import array
from random import Random

import pytest
from tests.intake.test_registry import INTERVAL_MS, LOAD, PushingAgent

from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.logs import logger
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.wire.payload_encoder import Round
from nunchi.wire.payload_rounds import PayloadRounds

CPU = Labels.of("aws_ec2_cpuutilization_average", job="cloudwatch", name="arn")
SERIES = 'aws_ec2_cpuutilization_average{instance="web-1", job="cloudwatch", name="arn"}'


@pytest.fixture
def agent(door, clock, telemetry) -> PushingAgent:
    return PushingAgent(AgentRegistry(door, clock, telemetry, logger("test")), clock)


def cloud(agent: PushingAgent, *samples: tuple[int, float]) -> list[Round]:
    layout = Layout.of(CPU)
    return [Round(time, layout, array("i", [0]), array("d", [value]), replaces=True) for time, value in samples]


def test_corrected_values_take_the_place_of_earlier_ones(agent, store, clock) -> None:
    now = clock.now_ms()
    agent.send(agent.payload(*cloud(agent, (now - 900_000, 1.0), (now - 600_000, 2.0))))
    done = agent.send(agent.payload(*cloud(agent, (now - 600_000, 2.5), (now - 300_000, 3.0))))
    assert (done.accepted, done.rejected) == (2, {})
    assert store.samples()[SERIES] == [(now - 900_000, 1.0), (now - 600_000, 2.5), (now - 300_000, 3.0)]


def test_a_metric_that_comes_once_a_day_is_corrected_days_later(agent, store, clock) -> None:
    day_ms, now = 86_400_000, clock.now_ms()
    agent.send(agent.payload(*cloud(agent, (now - 3 * day_ms, 1.0), (now - day_ms, 2.0))))
    assert agent.send(agent.payload(*cloud(agent, (now - 3 * day_ms, 1.5)))).rejected == {}
    assert store.samples()[SERIES] == [(now - 3 * day_ms, 1.5), (now - day_ms, 2.0)]


def test_they_say_nothing_of_how_the_agent_is(agent, store, clock) -> None:
    now = clock.now_ms()
    agent.send(agent.payload(*cloud(agent, (now - 900_000, 1.0))))
    assert list(store.samples()) == [SERIES]
    assert not agent.registry.agents()[0].is_up
    agent.push({LOAD: 1.0})
    assert agent.registry.agents()[0].is_up
    before = store.samples()['up{instance="web-1", job="node"}']
    agent.send(agent.payload(*cloud(agent, (now - 300_000, 2.0))))
    assert store.samples()['up{instance="web-1", job="node"}'] == before


def test_both_kinds_in_one_payload_are_stored_and_only_one_replaces(agent, store, clock) -> None:
    now = clock.now_ms()
    body = agent.payload(agent.round({LOAD: 1.0}), *cloud(agent, (now - 300_000, 1.0)))
    assert agent.send(body).accepted == 2
    assert agent.send(body).duplicate == 2
    again = agent.payload(agent.round({LOAD: 9.0}, now), *cloud(agent, (now - 300_000, 9.0)))
    agent.send(again)
    assert store.samples()[SERIES] == [(now - 300_000, 9.0)]
    assert store.samples()['node_load1{instance="web-1", job="node"}'] == [(now, 1.0)]


def test_the_backlog_of_an_earlier_start_is_taken_although_the_cloud_is_behind(agent, clock) -> None:
    old = agent.payload(agent.round({LOAD: 1.0}))
    later = PushingAgent(agent.registry, clock, epoch=2)
    later.send(later.payload(*cloud(later, (clock.now_ms() - 900_000, 1.0))))
    assert agent.send(old).accepted == 1


def test_what_is_read_back_from_the_spool_still_replaces(agent, clock) -> None:
    rounds = [agent.round({LOAD: 1.0}), *cloud(agent, (1, 1.0), (2, 2.0))]
    body = agent.encoder.encode(0, INTERVAL_MS, rounds)
    assert [one.replaces for one in PayloadRounds().read(body).rounds] == [False, True, True]


def test_short_lived_series_of_a_cloud_do_not_fill_the_memory(agent, store, clock) -> None:
    chance = Random(1)
    for number in range(300):
        layout = Layout.of(*(Labels.of("m", name=f"{number}-{one}", job="cloudwatch") for one in range(50)))
        one = Round(clock.now_ms(), layout, array("i", range(50)), array("d", [chance.random()] * 50), replaces=True)
        agent.send(agent.payload(one))
    known = agent.registry._agents["a1"].replacing
    assert len(known._known) <= 257
    assert len(known._passage.layout) <= 257 * 50
