"""The engine: text and times to a value. Synchronous; `runner.py` is its face for asyncio.

Invariant: a query reads through one querier, and closes it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.cores import Cores
from nunchi.kit.telemetry import Telemetry
from nunchi.query.errors import ExecutionError
from nunchi.query.functions import PythonFunction, index_functions
from nunchi.query.histograms.grid import HistogramGrid, histograms_of, rows_of
from nunchi.query.kernels.reduce import take_present
from nunchi.query.limits import Budget, Limits
from nunchi.query.notices import Notices
from nunchi.query.operators import tables
from nunchi.query.operators.build import build
from nunchi.query.operators.count_values import CountValues, sparse_counts
from nunchi.query.operators.duplicates import merge_block
from nunchi.query.operators.forecast import refuse_too_much
from nunchi.query.operators.measured import Measurements
from nunchi.query.operators.operator import BATCH_CELLS, Block, Measure, QueryContext, Scope, collect
from nunchi.query.operators.scalars import evaluate_scalar
from nunchi.query.operators.selections import Selections
from nunchi.query.operators.step_counts import StepCounts
from nunchi.query.operators.window_samples import window_samples
from nunchi.query.plan import nodes as plan
from nunchi.query.plan.rewrite import rewrite
from nunchi.query.plan.translate import translate
from nunchi.query.plan_report import Estimates, PlanReport, report_plan
from nunchi.query.syntax import STABLE, ParserSettings, parse, resolve_durations
from nunchi.query.syntax.literals import readable
from nunchi.query.syntax.nodes import StringLiteral
from nunchi.query.syntax.signatures import ValueType
from nunchi.query.values import Matrix, QueryResult, Scalar, Statistics, String, Value, Vector
from nunchi.storage.contracts import Querier

LOOKBACK_MS = 5 * 60 * 1000
SUBQUERY_STEP_MS = 60 * 1000
PLANS_MAX = 1000


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is made with.

    lookback_ms       how far an instant selector looks back
    subquery_step_ms  the step of subqueries that name none, until the engine is told another
    delays_names      metric names are dropped at the end of a query (`promql-delayed-name-removal`)
    shows_steps       who asks for all statistics gets the samples of each step (`promql-per-step-stats`)
    rewrites          plans are rewritten; off only to compare
    batch_cells       series x steps of a batch, chosen for the processor's cache
    functions         Python functions that queries may call, made by `nunchi.function`
    """

    lookback_ms: int = LOOKBACK_MS
    subquery_step_ms: int = SUBQUERY_STEP_MS
    limits: Limits = field(default_factory=Limits)
    parser: ParserSettings = STABLE
    delays_names: bool = False
    shows_steps: bool = False
    rewrites: bool = True
    batch_cells: int = BATCH_CELLS
    functions: tuple[PythonFunction, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What one query may say for itself. 0 and None: as the engine's settings say.

    notices_max    how many warnings and infos are shown; 0: all
    takes_samples  a result of a range that is nearly empty may come as `Samples` instead of a `Matrix`
    counts_steps   the samples of each step are counted
    """

    lookback_ms: int = 0
    budget: Budget | None = None
    notices_max: int = 10
    takes_samples: bool = False
    counts_steps: bool = False


DEFAULT_OPTIONS = QueryOptions()
OpenQuerier = Callable[[], Querier]
Plan = plan.PlanNode | StringLiteral


class Engine:
    """Evaluates expressions. Safe to use from several threads. `subquery_step_ms` may be changed: it counts from the next
    query on.
    """

    def __init__(
        self,
        settings: EngineSettings | None = None,
        telemetry: Telemetry | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = settings or EngineSettings()
        self._functions = index_functions(settings.functions)
        self._note_of = _notes_of(self._functions)
        self.cores = Cores()
        signatures = tuple(function.signature for function in settings.functions)
        self.settings = replace(settings, parser=replace(settings.parser, extensions=signatures))
        self.subquery_step_ms = settings.subquery_step_ms
        self._monotonic = monotonic
        self._plans: OrderedDict[tuple[str, int, int], Plan] = OrderedDict()
        self._value_types: OrderedDict[str, ValueType] = OrderedDict()
        telemetry = telemetry or Telemetry()
        self._samples = telemetry.counter(
            "nunchi_query_samples_total", "Samples that the windows and look-backs of queries held."
        )
        self._queries = telemetry.counter("nunchi_queries_total", "Queries evaluated.", "kind")

    def instant(
        self,
        open_querier: OpenQuerier,
        expression: str,
        at_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> QueryResult:
        """The value of an expression at one time; raises `QueryError`."""
        self._queries.add(1, "instant")
        return self._run(open_querier, expression, at_ms, at_ms, 0, options)

    def range(
        self,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> QueryResult:
        """The values of an expression at start, start + step, … up to the end; raises `QueryError`."""
        if step_ms <= 0 or end_ms < start_ms:
            raise ExecutionError("a range needs a positive step, and an end that is not before its start")
        self._queries.add(1, "range")
        return self._run(open_querier, expression, start_ms, end_ms, step_ms, options)

    def plan(self, expression: str, step_ms: int = 0, range_ms: int = 0) -> Plan:
        """The plan of an expression, from the cache where it was asked for before; raises `QueryError`."""
        for key in ((expression, -1, -1), (expression, step_ms, range_ms)):
            found = self._plans.get(key)
            if found is not None:
                return found
        node = parse(expression, self.settings.parser)
        resolved = resolve_durations(node, expression, step_ms, range_ms)
        made = translate(resolved)
        if self.settings.rewrites and not isinstance(made, StringLiteral):
            made = rewrite(made)
        key = (expression, -1, -1) if resolved is node else (expression, step_ms, range_ms)
        self._plans[key] = made
        while len(self._plans) > PLANS_MAX:
            self._plans.popitem(last=False)
        return made

    def value_type(self, expression: str) -> ValueType:
        """What kind of value an expression has, from the cache where it was asked for before; raises `ParseError`."""
        found = self._value_types.get(expression)
        if found is None:
            found = self._value_types[expression] = parse(expression, self.settings.parser).value_type
            while len(self._value_types) > PLANS_MAX:
                self._value_types.popitem(last=False)
        return found

    def is_plan_lasting(self, expression: str) -> bool:
        """Whether the plan of an expression, asked for before, is the same for every range and step."""
        return (expression, -1, -1) in self._plans

    def budget(self) -> Budget:
        """A new account under this engine's limits."""
        return Budget(self.settings.limits, self._monotonic)

    def explain(
        self,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> PlanReport:
        """The plan of a query, with what its selectors would read as the index tells; nothing is evaluated."""
        planned = self.plan(expression, step_ms, end_ms - start_ms)
        querier = open_querier()
        try:
            lookback_ms = options.lookback_ms or self.settings.lookback_ms
            estimate = Estimates(querier, start_ms, end_ms, lookback_ms).of
            return report_plan(planned, estimate=estimate, note_of=self._note_of)
        finally:
            querier.close()

    def profile(
        self,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> tuple[QueryResult, PlanReport]:
        """A query's result, and its plan with what each node cost. A step of 0: an instant query at the end."""
        planned = self.plan(expression, step_ms, end_ms - start_ms)
        budget = options.budget or self.budget()
        measurements = Measurements(budget, self._monotonic)
        times = (start_ms, end_ms, step_ms) if step_ms else (end_ms, end_ms, 0)
        options = replace(options, budget=budget)
        result = self._run(open_querier, expression, *times, options, measurements.measure)
        return result, report_plan(planned, measured=measurements.find, note_of=self._note_of)

    def _run(
        self,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions,
        measure: Measure | None = None,
    ) -> QueryResult:
        began = self._monotonic()
        planned = self.plan(expression, step_ms, end_ms - start_ms)
        prepared = self._monotonic()
        budget = options.budget or self.budget()
        notices = Notices()
        querier = open_querier()
        try:
            context = QueryContext(
                querier=querier,
                selections=Selections(querier, budget),
                symbols=tables.QuerySymbols(querier.symbols),
                budget=budget,
                notices=notices,
                start_ms=start_ms,
                end_ms=end_ms,
                step_ms=step_ms,
                lookback_ms=options.lookback_ms or self.settings.lookback_ms,
                subquery_step_ms=self.subquery_step_ms,
                delays_names=self.settings.delays_names,
                batch_cells=self.settings.batch_cells,
                measure=measure,
                functions=self._functions,
                cores=self.cores,
            )
            times = np.arange(start_ms, end_ms + 1, step_ms or 1, dtype=np.int64)
            counts = StepCounts(len(times)) if options.counts_steps else None
            scope = Scope(context, times, counts=counts)
            # A profile tells where the time goes: each node opens what it reads.
            if measure is None and not isinstance(planned, StringLiteral):
                refuse_too_much(planned, scope)
            with np.errstate(all="ignore"):
                value = evaluate(planned, scope, takes_samples=options.takes_samples)
        finally:
            querier.close()
        self._samples.add(budget.samples)
        return QueryResult(
            value,
            notices.warnings(expression, options.notices_max),
            notices.infos(expression, options.notices_max),
            Statistics(
                budget.samples,
                budget.peak_cells,
                budget.queued_seconds,
                prepared - began,
                self._monotonic() - prepared,
                () if counts is None else tuple(zip(times.tolist(), counts.samples.tolist(), strict=True)),
            ),
        )


def _notes_of(functions: Mapping[str, PythonFunction]) -> Callable[[plan.PlanNode], str]:
    """Tells of a plan's node what its Python function says of itself."""

    def note_of(node: plan.PlanNode) -> str:
        return functions[node.name].documentation if isinstance(node, plan.PythonCall) else ""

    return note_of


def evaluate(planned: Plan, scope: Scope, *, takes_samples: bool = False) -> Value:
    """The value of a plan; see `QueryOptions` for `takes_samples`."""
    context, times = scope.context, scope.times
    if isinstance(planned, StringLiteral):
        _refuse_range(context, "string")
        return String(readable(planned.value), context.start_ms)
    if isinstance(planned, plan.RangeSelect | plan.Subquery):
        _refuse_range(context, "range vector")
        return window_samples(planned, scope)
    if plan.is_scalar(planned):
        values = evaluate_scalar(planned, scope, build)
        if not context.is_range:
            return Scalar(float(values[0]), context.start_ms)
        present = np.ones((1, len(times)), np.bool_)
        return Matrix(tables.empty_table(context.symbols, 1), times, values.reshape(1, -1), present)
    operator = build(planned, scope)
    if takes_samples and context.is_range and isinstance(operator, CountValues):
        found = sparse_counts(operator, times)
        if found is not None:
            return found
    block = _settle_names(collect(operator, scope))
    if block.histograms is not None:
        cells = histograms_of(block.present, block.histograms)
        values = np.where(cells, np.nan, block.values)
        block = replace(block, values=values, histograms=block.histograms.only(cells) if cells.any() else None)
    if context.is_range:
        return _matrix(block, times)
    rows = np.flatnonzero(block.present[:, 0])
    grid = rows_of(block.histograms, rows)
    return Vector(
        block.labels.take(rows), block.values[rows, 0], context.start_ms,
        None if grid is None else HistogramGrid(grid.numbers[:, 0], grid.columns),
    )  # fmt: skip


def _refuse_range(context: QueryContext, kind: str) -> None:
    if context.is_range:
        raise ExecutionError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')


def _settle_names(block: Block) -> Block:
    """Drop the metric names that were to go at the end of the query."""
    if block.drop_name is None or not block.drop_name.any():
        return block
    labels = block.labels
    changes = np.where(block.drop_name, 0, tables.LEAVE).astype(np.int32)
    for name in tables.METADATA_LABELS:
        labels = tables.set_label(labels, name, changes)
    return merge_block(Block(labels, block.values, block.present, None, block.histograms))


def _matrix(block: Block, times: NDArray[np.int64]) -> Matrix:
    """Series that have any value, sorted by labels."""
    rows = np.flatnonzero(block.present.any(axis=1))
    rows = rows[tables.sorted_order(block.labels.take(rows))]
    if len(rows) == len(block.values) and (np.diff(rows) == 1).all():
        return Matrix(block.labels, times, block.values, block.present, block.histograms)
    values = np.zeros((len(rows), len(times)))
    present = np.zeros((len(rows), len(times)), np.bool_)
    take_present(np.ascontiguousarray(block.values), block.present.view(np.uint8), rows, values, present.view(np.uint8))
    return Matrix(block.labels.take(rows), times, values, present, rows_of(block.histograms, rows))
