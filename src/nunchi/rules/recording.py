"""A recording rule: a query's result under a new name, with labels of the rule set over it.

Invariant: all elements of a result have different labels after the change, or nothing of it is stored.
"""

from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.query.syntax import STABLE, ParserSettings, parse
from nunchi.query.values import Vector
from nunchi.rules.dependencies import Reads, reads_of
from nunchi.rules.errors import RuleError
from nunchi.rules.evaluation import Evaluation
from nunchi.rules.files import RuleSettings
from nunchi.rules.output import Output, elements_of
from nunchi.rules.status import RuleHealth, RuleKind, RuleStatus


class RecordingRule:
    """One `record:` entry of a rule file."""

    kind = RuleKind.RECORDING

    def __init__(self, settings: RuleSettings, group_labels: dict[str, str], parser: ParserSettings = STABLE) -> None:
        self.settings = settings
        self.name = settings.record
        self.labels = Labels({**group_labels, **settings.labels})
        self.writes = frozenset({self.name})
        self.reads: Reads = reads_of(parse(settings.expr, parser))
        self._changes = {**group_labels, **settings.labels, METRIC_NAME: self.name}

    def identity(self) -> tuple[str, str, Labels]:
        """What stays the same when the rule's expression is edited."""
        return "record", self.name, self.labels

    async def evaluate(self, evaluation: Evaluation) -> Output:
        """The rule's result as cells; raises `RuleError` or `QueryError`."""
        value = await evaluation.ask(self.settings.expr)
        table, values = elements_of(value)
        limit = evaluation.limit
        if limit and len(values) > limit:
            raise RuleError(
                f"exceeded limit of {limit} with {len(values)} series: raise the group's limit or aggregate"
            )
        columns = evaluation.columns.find(table, self._changes)
        if columns is None:
            raise RuleError("vector contains metrics with the same labelset after applying rule labels")
        return Output(columns, values, value.histograms if isinstance(value, Vector) else None)

    def status(self, health: RuleHealth, last_error: str, seconds: float, at_ms: int) -> RuleStatus:
        """The rule as others see it."""
        return RuleStatus(self.kind, self.name, self.settings.expr, self.labels, health, last_error, seconds, at_ms)
