"""Stand-ins at the borders of rules: an evaluator over canned results, a sink that remembers, a server's worth of wiring."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.staleness import is_stale
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.query.errors import QueryError
from nunchi.query.values import Scalar, Vector
from nunchi.rules.files import parse_rule_file
from nunchi.rules.restore import RestoreLimits
from nunchi.rules.rule_group import Connections, GroupDefaults, RuleGroup
from nunchi.rules.rule_manager import RulesSettings
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock

Elements = dict[Labels, float]
Answer = Callable[[int], Elements | float]


def vector(elements: Elements, at_ms: int = 0) -> Vector:
    return Vector(LabelTable.of(Symbols(), elements), np.array(list(elements.values()), np.float64), at_ms)


class CannedEvaluator:
    """Answers expressions by functions of time; counts what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, int]] = []

    async def evaluate(self, expression: str, at_ms: int) -> Vector | Scalar:
        self.asked.append((expression, at_ms))
        if expression not in self.answers:
            raise QueryError(f"no answer for {expression}")
        answer = self.answers[expression](at_ms)
        return Scalar(answer, at_ms) if isinstance(answer, float) else vector(answer, at_ms)


class RememberingSink:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def send(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts


class House:
    """Everything that a rule group talks to."""

    def __init__(self, store: MemoryStore | None = None, limits: RestoreLimits | None = None) -> None:
        self.clock = VirtualClock(1_700_000_000.0 + 5 * 86_400)  # later than any evaluation of a test
        self.evaluator = CannedEvaluator()
        self.sink = RememberingSink()
        self.store = store or MemoryStore(self.clock)
        self.telemetry = Telemetry()
        self.connections = Connections(
            self.evaluator,
            self.store,
            self.sink,
            self.clock,
            RuleTelemetry(self.telemetry),
            logger("rules"),
            restore_limits=limits or RestoreLimits(),
        )

    def group(self, text: str, *, is_restored: bool = True, interval_ms: int = 60_000) -> RuleGroup:
        """The first group of a rule file."""
        file = parse_rule_file(text, "rules.yml")
        surroundings = Surroundings(Labels.of(site="here"), "http://nunchi.example/")
        return RuleGroup(
            file.groups[0],
            file.path,
            GroupDefaults(interval_ms),
            surroundings,
            self.connections,
            is_restored=is_restored,
        )

    def settings(self, *texts: str, interval_ms: int = 60_000) -> RulesSettings:
        files = tuple(parse_rule_file(text, f"rules{place}.yml") for place, text in enumerate(texts))
        return RulesSettings(files, GroupDefaults(interval_ms), Surroundings())

    def samples(self, name: str, *, stale: str = "stale") -> dict[Labels, list[tuple[int, float | str]]]:
        """Every stored sample of a metric, staleness markers as a word."""
        querier = self.store.querier()
        selection = querier.select([Matcher("__name__", MatchOperator.EQUAL, name)], 0, 1 << 60)
        found: dict[Labels, list[tuple[int, float | str]]] = {}
        for tile in selection.read(0, len(selection.labels)):
            for place, series in enumerate(tile.series.tolist()):
                vector_of = tile.vector_of[place]
                times = tile.vectors[tile.vector_offsets[vector_of] : tile.vector_offsets[vector_of + 1]].tolist()
                values = tile.values[tile.offsets[place] : tile.offsets[place + 1]].tolist()
                found[selection.labels.labels(series)] = [
                    (time, stale if is_stale(value) else value) for time, value in zip(times, values, strict=True)
                ]
        querier.close()
        return found


def instances(names: Iterable[str], value: float = 1.0) -> Elements:
    return {Labels.of("up", instance=name): value for name in names}
