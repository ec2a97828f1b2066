"""The shipped rules on this host: every expression has data, and each alert fires when what it watches for happens."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

import numpy as np
import pytest
from tests.agent.frozen import measure_all
from tests.rules.canned import RememberingSink

from nunchi.agent.root import Root
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import AlertState
from nunchi.model.batch import Batch
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.runner import QueryRunner
from nunchi.query.syntax import parse, print_node
from nunchi.query.syntax.nodes import Binary, Node, NumberLiteral, Parenthesis
from nunchi.query.values import Vector
from nunchi.rules.files import RuleFile, parse_rule_file
from nunchi.rules.rule_group import Connections, GroupDefaults, RuleGroup
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.server.evaluator import RuleEvaluator
from nunchi.storage.memory import MemoryStore

STEP_MS = 15_000
EARLY_MS = MappingProxyType({0: 3_600_000, 1: 900_000})
FILTERS = ("==", "!=", "<", "<=", ">", ">=", "and", "or", "unless")

Samples = dict[Labels, float]


def measured(node: Node) -> Iterator[Node]:
    """The parts of an expression that say what is, before a comparison judges it."""
    if isinstance(node, Parenthesis):
        yield from measured(node.expression)
    elif isinstance(node, Binary) and node.operator in FILTERS:
        yield from measured(node.left)
        yield from measured(node.right)
    elif not isinstance(node, NumberLiteral):
        yield node


def host_samples() -> Samples:
    """What the agent measures here, as the server stores it."""
    samples, _ = measure_all(Root())
    found = {
        Labels({METRIC_NAME: name, **dict(labels), "job": "node", "instance": "here"}): value
        for (name, labels), value in samples.items()
    }
    found[Labels.of("up", job="node", instance="here")] = 1.0
    return found


def shipped() -> RuleFile:
    return parse_rule_file((files("nunchi.rules") / "defaults" / "host.yml").read_text("utf-8"), "host.yml")


class Host:
    """A store filled with rounds of one host, and the shipped rules over it."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.store = MemoryStore(self.clock)
        self.sink = RememberingSink()
        self.end_ms = self.clock.now_ms()
        self.queries = QueryRunner(Engine(EngineSettings()), self.clock)

    def fill(self, rounds: list[Samples], early_ms: Mapping[int, int] = EARLY_MS) -> None:
        """One round every 15 seconds, the last one now; the first two stand an hour and a quarter of an hour back."""
        layout = Layout()
        columns = {labels: layout.append(labels.key()) for labels in rounds[0]}
        for place, samples in enumerate(rounds):
            at_ms = self.end_ms - early_ms.get(place, (len(rounds) - 1 - place) * STEP_MS)
            here = np.array([columns[labels] for labels in samples], np.int32)
            appender = self.store.appender()
            appender.append(Batch.row(layout, at_ms, here, np.array(list(samples.values()))))
            appender.commit()

    def group(self) -> RuleGroup:
        file = shipped()
        connections = Connections(
            RuleEvaluator(self.queries, self.store),
            self.store,
            self.sink,
            self.clock,
            RuleTelemetry(Telemetry()),
            logger("rules"),
        )
        return RuleGroup(file.groups[0], file.path, GroupDefaults(), Surroundings(), connections, is_restored=True)


EXPRESSIONS = {rule.alert: rule.expr for group in shipped().groups for rule in group.rules}


@pytest.fixture(scope="module")
def rounds() -> list[Samples]:
    first, last = host_samples(), host_samples()
    both = first.keys() & last.keys()
    return [{labels: (first if place < 10 else last)[labels] for labels in both} for place in range(22)]


def test_every_expression_has_data_on_this_host(rounds):
    host = Host()
    host.fill(rounds)
    engine = Engine(EngineSettings())
    empty = []
    for name, expression in EXPRESSIONS.items():
        for part in measured(parse(expression)):
            value = engine.instant(host.store.querier, print_node(part), host.end_ms).value
            if not (isinstance(value, Vector) and len(value)):
                empty.append((name, print_node(part)))
    assert empty == []


async def test_all_rules_evaluate_and_find_nothing_broken(rounds):
    host = Host()
    host.fill(rounds)
    group = host.group()
    await group.evaluate(host.end_ms)
    await host.queries.close()
    assert [(rule.name, rule.last_error) for rule in group.status().rules if rule.health.value != "ok"] == []


def changed(rounds, name, value, **labels):
    """The rounds with every series of a name set to a value, or to a function of the round."""
    found = []
    for place, samples in enumerate(rounds):
        now = value(place) if callable(value) else value
        found.append(
            {
                one: now
                if one.metric_name == name and all(one.get(key) == text for key, text in labels.items())
                else old
                for one, old in samples.items()
            }
        )
    return found


SICK = [
    ("TargetDown", {"up": 0.0}),
    ("FilesystemAlmostFull", {"node_filesystem_size_bytes": 100.0, "node_filesystem_avail_bytes": 9.0}),
    ("FilesystemFull", {"node_filesystem_size_bytes": 100.0, "node_filesystem_avail_bytes": 2.0}),
    ("FilesystemWillFill", {"node_filesystem_size_bytes": 1e9, "node_filesystem_avail_bytes": lambda n: 3e8 - n * 1e7}),
    (
        "FilesystemWillFillSoon",
        {"node_filesystem_size_bytes": 1e9, "node_filesystem_avail_bytes": lambda n: 1e8 - n * 4e6},
    ),
    ("FilesystemFilesAlmostUsedUp", {"node_filesystem_files": 100.0, "node_filesystem_files_free": 4.0}),
    ("FilesystemBecameReadOnly", {"node_filesystem_readonly": lambda n: float(n > 15)}),
    ("FilesystemError", {"node_filesystem_device_error": 1.0}),
    ("MemoryLow", {"node_memory_MemTotal_bytes": 100.0, "node_memory_MemAvailable_bytes": 9.0}),
    ("MemoryExhausted", {"node_vmstat_oom_kill": lambda n: float(n // 10)}),
    ("MemoryPressure", {"node_pressure_memory_stalled_seconds_total": lambda n: n * 15 * 0.2}),
    ("DiskPressure", {"node_pressure_io_stalled_seconds_total": lambda n: n * 15 * 0.6}),
    ("CpuPressure", {"node_pressure_cpu_waiting_seconds_total": lambda n: n * 15 * 0.9}),
    ("LoadHigh", {"node_load5": 10_000.0}),
    ("DiskSaturated", {"node_disk_io_time_weighted_seconds_total": lambda n: n * 15 * 30.0}),
    (
        "NetworkErrors",
        {
            "node_network_receive_errs_total": lambda n: n * 2.0,
            "node_network_transmit_errs_total": 0.0,
            "node_network_receive_packets_total": lambda n: n * 100.0,
            "node_network_transmit_packets_total": 5.0,
        },
    ),
    ("FileDescriptorsAlmostUsedUp", {"node_filefd_maximum": 100.0, "node_filefd_allocated": 85.0}),
    ("ClockNotSynchronised", {"node_timex_sync_status": 0.0, "node_timex_maxerror_seconds": 16.0}),
    ("ClockSkewed", {"node_timex_offset_seconds": -0.2}),
]


def test_every_shipped_alert_is_tried():
    assert [name for name, _ in SICK] == list(EXPRESSIONS)


@pytest.mark.parametrize(("name", "changes"), SICK, ids=[name for name, _ in SICK])
async def test_alert_comes_when_its_host_is_sick(rounds, name, changes):
    for metric, value in {"node_filesystem_readonly": 0.0, **changes}.items():
        rounds = changed(rounds, metric, value)
    host = Host()
    host.fill(rounds)
    group = host.group()
    await group.evaluate(host.end_ms)
    await host.queries.close()
    [rule] = [rule for rule in group.status().rules if rule.name == name]
    assert rule.state in (AlertState.PENDING, AlertState.FIRING)
    for alert in rule.alerts:
        assert set(alert.annotations) == {"summary", "description"}
        assert alert.labels.get("severity") in ("warning", "critical")
        for text in alert.annotations.values():
            assert "<" not in text
            assert text.strip()


@pytest.mark.parametrize("name", ["FilesystemWillFill", "FilesystemWillFillSoon"])
async def test_no_trend_is_seen_in_the_first_minutes_of_a_host(rounds, name):
    changes = next(changes for sick, changes in SICK if sick == name)
    for metric, value in {"node_filesystem_readonly": 0.0, **changes}.items():
        rounds = changed(rounds, metric, value)
    host = Host()
    host.fill(rounds)
    engine = Engine(EngineSettings())
    assert len(engine.instant(host.store.querier, EXPRESSIONS[name], host.end_ms).value)
    young = Host()
    young.fill(rounds[-10:], early_ms={})
    assert len(engine.instant(young.store.querier, EXPRESSIONS[name], young.end_ms).value) == 0
