"""`query`, `query_range`, `format_query`, `parse_query`, `query_exemplars`: PromQL over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np

from nunchi.kit.cores import Cores
from nunchi.kit.http_route import Route
from nunchi.model.exemplar import Exemplar
from nunchi.query.engine import Engine, QueryOptions
from nunchi.query.errors import ParseError
from nunchi.query.frames.arrow import arrow_stream
from nunchi.query.frames.columns import FramesMissing
from nunchi.query.histograms.grid import rows_of
from nunchi.query.limits import Budget
from nunchi.query.rendering import format_number, render_value, result_type
from nunchi.query.result_cache import ResultCache
from nunchi.query.syntax import parse, pretty_print
from nunchi.query.syntax.nodes import Node, VectorSelector, walk
from nunchi.query.syntax.signatures import ValueType
from nunchi.query.values import Matrix, QueryResult, Samples, Statistics, Value, Vector
from nunchi.storage.contracts import Querier, Store
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter
from nunchi.web.prometheus_api.negotiation import ARROW, JSON, QUERY_CONTENT_TYPES, choose_content_type
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN, Parameters
from nunchi.web.prometheus_api.reading import Reading, query_failure
from nunchi.web.prometheus_api.series import TRUNCATED
from nunchi.web.prometheus_api.syntax_tree import tree_of

STEPS_MAX = 11_000
ALL_STATISTICS = "all"
OpenQuerier = Callable[[], Querier]


class QueryEndpoints:
    """Endpoints that evaluate or read expressions."""

    def __init__(
        self, store: Store, reading: Reading, now_ms: Callable[[], int], cache: ResultCache | None = None
    ) -> None:
        self._store = store
        self._reading = reading
        self._now_ms = now_ms
        self._cache = cache

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/query", self.query, "GET", "POST"),
            *envelope.read("/api/v1/query_range", self.query_range, "GET", "POST"),
            *envelope.read("/api/v1/format_query", self.format_query, "GET", "POST"),
            *envelope.read("/api/v1/parse_query", self.parse_query, "GET", "POST"),
            *envelope.read("/api/v1/query_exemplars", self.query_exemplars, "GET", "POST"),
        ]

    async def query(self, parameters: Parameters) -> Answer:
        """An expression at one time."""
        wishes = Wishes.of(parameters)
        at_ms = parameters.time_ms("time", self._now_ms())

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            options = wishes.options(engine, budget)
            return wishes.answer(engine.instant(open_querier, wishes.expression, at_ms, options), engine.cores)

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    async def query_range(self, parameters: Parameters) -> Answer:
        """An expression at every step of a range; `nocache=1` evaluates all of them now."""
        span = QuerySpan.of(parameters)
        wishes = Wishes.of(parameters)
        cache = None if parameters.text("nocache") in {"1", "true"} else self._cache

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            refuse_ranges(engine.value_type(wishes.expression))
            options = replace(wishes.options(engine, budget), takes_samples=True)
            if cache is None or options.counts_steps:
                return wishes.answer(engine.range(open_querier, wishes.expression, *span, options), engine.cores)
            result = cache.range(engine, open_querier, wishes.expression, *span, options)
            return wishes.answer(result, engine.cores)

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    async def format_query(self, parameters: Parameters) -> Answer:
        """An expression laid out over lines."""
        return Answer(pretty_print(self._parsed(parameters)))

    async def parse_query(self, parameters: Parameters) -> Answer:
        """An expression as a tree."""
        return Answer(tree_of(self._parsed(parameters)))

    async def query_exemplars(self, parameters: Parameters) -> Answer:
        """Exemplars of the series that the selectors of an expression match."""
        start_ms, end_ms = parameters.time_ms("start", TIME_MS_MIN), parameters.time_ms("end", TIME_MS_MAX)
        if end_ms < start_ms:
            raise ApiError.bad_data("end timestamp must not be before start timestamp")
        selectors = [node.matchers for node in walk(self._parsed(parameters)) if isinstance(node, VectorSelector)]
        found = self._store.exemplars(selectors, start_ms, end_ms)
        return Answer([{"seriesLabels": dict(labels), "exemplars": list(map(_show, own))} for labels, own in found])

    def _parsed(self, parameters: Parameters) -> Node:
        try:
            return parse(parameters.text("query"), self._reading.engine.settings.parser)
        except ParseError as error:
            raise query_failure(error) from error


def _show(exemplar: Exemplar) -> dict[str, object]:
    return {
        "labels": dict(exemplar.labels),
        "value": format_number(exemplar.value, plain=True),
        "timestamp": exemplar.timestamp_ms / 1000,
    }


class QuerySpan(NamedTuple):
    """The steps of a query; a step of 0 is an instant query."""

    start_ms: int
    end_ms: int
    step_ms: int

    @classmethod
    def of(cls, parameters: Parameters) -> "QuerySpan":
        """`start`, `end` and `step` of a request; raises `ApiError`."""
        start_ms, end_ms = parameters.time_ms("start"), parameters.time_ms("end")
        if end_ms < start_ms:
            raise invalid_parameter("end", "end timestamp must not be before start time")
        step_ms = parameters.step_ms("step")
        if (end_ms - start_ms) // step_ms > STEPS_MAX:
            raise ApiError.bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            )
        return cls(start_ms, end_ms, step_ms)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What both kinds of query may ask for. 0 is no limit, no look-back of one's own; None is the server's timeout."""

    expression: str
    series_max: int
    lookback_ms: int
    timeout_seconds: float | None
    with_statistics: bool
    with_steps: bool = False
    content_type: str = JSON

    @classmethod
    def of(cls, parameters: Parameters) -> "Wishes":
        """Out of a request; raises `ApiError`."""
        timeout_ms = parameters.span_ms("timeout")
        return cls(
            expression=parameters.text("query"),
            series_max=parameters.count("limit"),
            lookback_ms=_lookback_ms(parameters),
            timeout_seconds=None if timeout_ms is None else max(timeout_ms / 1000, 0.001),
            with_statistics=bool(parameters.text("stats")),
            with_steps=parameters.text("stats") == ALL_STATISTICS,
            content_type=choose_content_type(parameters.accept, QUERY_CONTENT_TYPES),
        )

    def options(self, engine: Engine, budget: Budget) -> QueryOptions:
        """What they are to an engine, which may show no steps."""
        counts_steps = self.with_steps and engine.settings.shows_steps
        return QueryOptions(self.lookback_ms, budget, counts_steps=counts_steps)

    def answer(self, result: QueryResult, cores: Cores) -> Answer:
        """The result, cut to the series asked for. Costs with the size of the result: runs in the query's thread."""
        value, is_cut = _first(result.value, self.series_max)
        warnings = [*result.warnings, TRUNCATED] if is_cut else result.warnings
        if self.content_type == ARROW:
            notices = {"warnings": "\n".join(warnings), "infos": "\n".join(result.infos)}
            return Answer(_arrow(value, notices), content_type=ARROW)
        pieces = [b'{"resultType":"%s","result":' % result_type(value).encode(), render_value(value, cores)]
        if self.with_statistics:
            pieces += (b',"stats":', msgspec.json.encode(shown_statistics(result.statistics)))
        return Answer(b"".join((*pieces, b"}")), warnings, result.infos)


def shown_statistics(statistics: Statistics) -> dict[str, dict[str, object]]:
    """What a query cost, in the words of Prometheus's `stats`. Sorting is part of evaluation here."""
    executed, prepared = statistics.executed_seconds, statistics.prepared_seconds
    samples: dict[str, object] = {
        "totalQueryableSamples": statistics.samples,
        "peakSamples": statistics.peak_cells,
    }
    if statistics.steps:
        samples["totalQueryableSamplesPerStep"] = [(at_ms / 1000, count) for at_ms, count in statistics.steps]
    return {
        "timings": {
            "evalTotalTime": prepared + executed,
            "resultSortTime": 0.0,
            "queryPreparationTime": prepared,
            "innerEvalTime": executed,
            "execQueueTime": statistics.queued_seconds,
            "execTotalTime": statistics.queued_seconds + prepared + executed,
        },
        "samples": samples,
    }


def _arrow(value: Value, notices: dict[str, str]) -> bytes:
    try:
        return arrow_stream(value, notices)
    except FramesMissing as error:
        raise ApiError("not_acceptable", str(error)) from None


def refuse_ranges(value_type: ValueType) -> None:
    """Only what has one value a step can be asked over a range; a wrong type is the request's fault, not the samples'."""
    if value_type not in {ValueType.SCALAR, ValueType.VECTOR}:
        kind = value_type.title
        reason = f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        raise invalid_parameter("query", reason)


def _lookback_ms(parameters: Parameters) -> int:
    try:
        return parameters.span_ms("lookback_delta") or 0
    except ApiError as error:
        reason = str(error).partition(": ")[2]
        raise ApiError.bad_data(f"error parsing lookback delta duration: {reason}") from None


def _first(value: Value, series_max: int) -> tuple[Value, bool]:
    """The first series of a value, all where `series_max` is 0; and whether any were left out."""
    if not series_max or not isinstance(value, Vector | Matrix | Samples) or len(value) <= series_max:
        return value, False
    labels = value.labels.take(np.arange(series_max, dtype=np.int64))
    histograms = rows_of(value.histograms, slice(series_max))
    match value:
        case Vector():
            return Vector(labels, value.values[:series_max], value.timestamp_ms, histograms), True
        case Matrix():
            values, present = value.values[:series_max], value.present[:series_max]
            return Matrix(labels, value.times, values, present, histograms), True
        case Samples():
            offsets = value.offsets[: series_max + 1]
            cells = slice(int(offsets[-1]))
            histograms = rows_of(value.histograms, cells)
            return Samples(labels, offsets, value.times[cells], value.values[cells], histograms), True
