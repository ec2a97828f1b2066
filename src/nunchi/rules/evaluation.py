"""One evaluation of one rule: when, with whose help, within which bounds.

Invariant: an evaluation is used once; what templates ask is remembered in it, so that equal questions are asked once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nunchi.kit.template.values import Function, TextMap
from nunchi.query.values import Scalar, Vector
from nunchi.rules.errors import RuleError
from nunchi.rules.evaluator import Evaluator
from nunchi.rules.output import SeriesColumns, elements_of
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.template_functions import TemplateSample, TemplateSurroundings, functions_within

TEMPLATE_QUERIES_MAX = 1000


@dataclass(slots=True)
class Evaluation:
    """What a rule is given. `at_ms` is the slot, queries see `query_offset_ms` earlier; `limit` 0 means none.

    report  takes sentences about templates that failed
    """

    evaluator: Evaluator
    at_ms: int
    query_offset_ms: int
    limit: int
    surroundings: Surroundings
    columns: SeriesColumns
    report: Callable[[str], None]
    functions: Mapping[str, Function] = field(init=False)
    external_labels: TextMap = field(init=False)
    _template_surroundings: TemplateSurroundings = field(init=False)

    def __post_init__(self) -> None:
        self._template_surroundings = TemplateSurroundings({}, self.at_ms / 1000, self.surroundings.external_url)
        self.functions = functions_within(self._template_surroundings)
        self.external_labels = TextMap(self.surroundings.external_labels.pairs)

    async def ask(self, expression: str) -> Vector | Scalar:
        """The value of an expression for this evaluation; raises `QueryError`."""
        return await self.evaluator.evaluate(expression, self.at_ms - self.query_offset_ms)

    async def answer(self, expression: str) -> None:
        """Ask what a template wants to know, so that it can be rendered again."""
        answers = self._template_surroundings.answers
        if len(answers) >= TEMPLATE_QUERIES_MAX:
            raise RuleError(f"templates ask more than {TEMPLATE_QUERIES_MAX} queries an evaluation")
        table, values = elements_of(await self.ask(expression))
        answers[expression] = [
            TemplateSample(TextMap(table.labels(place).pairs), sample) for place, sample in enumerate(values.tolist())
        ]
