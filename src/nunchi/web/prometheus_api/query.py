"""`query`, `query_range`, `format_query`: PromQL over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from nunchi.kit.http_route import Route
from nunchi.query.engine import Engine, QueryOptions
from nunchi.query.errors import ParseError
from nunchi.query.limits import Budget
from nunchi.query.rendering import render_value, result_type
from nunchi.query.syntax import parse, pretty_print
from nunchi.query.syntax.nodes import Node
from nunchi.query.syntax.signatures import ValueType
from nunchi.query.values import Matrix, QueryResult, Samples, Value, Vector
from nunchi.storage.contracts import Querier
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.reading import Reading, query_failure
from nunchi.web.prometheus_api.series import TRUNCATED

STEPS_MAX = 11_000
OpenQuerier = Callable[[], Querier]


class QueryEndpoints:
    """Endpoints that evaluate or read expressions."""

    def __init__(self, reading: Reading, now_ms: Callable[[], int]) -> None:
        self._reading = reading
        self._now_ms = now_ms

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/query", self.query, "GET", "POST"),
            *envelope.read("/api/v1/query_range", self.query_range, "GET", "POST"),
            *envelope.read("/api/v1/format_query", self.format_query, "GET", "POST"),
        ]

    async def query(self, parameters: Parameters) -> Answer:
        """An expression at one time."""
        wishes = Wishes.of(parameters)
        at_ms = parameters.time_ms("time", self._now_ms())

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            options = QueryOptions(wishes.lookback_ms, budget)
            return wishes.answer(engine.instant(open_querier, wishes.expression, at_ms, options))

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    async def query_range(self, parameters: Parameters) -> Answer:
        """An expression at every step of a range."""
        start_ms, end_ms = parameters.time_ms("start"), parameters.time_ms("end")
        if end_ms < start_ms:
            raise invalid_parameter("end", "end timestamp must not be before start time")
        step_ms = parameters.step_ms("step")
        if (end_ms - start_ms) // step_ms > STEPS_MAX:
            raise ApiError.bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            )
        wishes = Wishes.of(parameters)

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            refuse_ranges(parse(wishes.expression, engine.settings.parser))
            options = QueryOptions(wishes.lookback_ms, budget)
            return wishes.answer(engine.range(open_querier, wishes.expression, start_ms, end_ms, step_ms, options))

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    async def format_query(self, parameters: Parameters) -> Answer:
        """An expression laid out over lines."""
        try:
            return Answer(pretty_print(parse(parameters.text("query"))))
        except ParseError as error:
            raise query_failure(error) from error


@dataclass(frozen=True, slots=True)
class Wishes:
    """What both kinds of query may ask for. 0 is no limit, no look-back of one's own; None is the server's timeout."""

    expression: str
    series_max: int
    lookback_ms: int
    timeout_seconds: float | None
    with_statistics: bool

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
        )

    def answer(self, result: QueryResult) -> Answer:
        """The result as JSON, cut to the series asked for. Costs with the size of the result: runs in the query's thread."""
        value, is_cut = _first(result.value, self.series_max)
        data = b'{"resultType":"%s","result":%s' % (result_type(value).encode(), render_value(value))
        if self.with_statistics:
            counts = result.statistics
            samples = {"totalQueryableSamples": counts.samples, "peakSamples": counts.peak_cells}
            data += b',"stats":' + msgspec.json.encode({"samples": samples})
        warnings = [*result.warnings, TRUNCATED] if is_cut else result.warnings
        return Answer(data + b"}", warnings, result.infos)


def refuse_ranges(node: Node) -> None:
    """Only what has one value a step can be asked over a range; a wrong type is the request's fault, not the samples'."""
    if node.value_type not in {ValueType.SCALAR, ValueType.VECTOR}:
        kind = node.value_type.title
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
    match value:
        case Vector():
            return Vector(labels, value.values[:series_max], value.timestamp_ms), True
        case Matrix():
            return Matrix(labels, value.times, value.values[:series_max], value.present[:series_max]), True
        case Samples():
            offsets = value.offsets[: series_max + 1]
            return Samples(labels, offsets, value.times[: offsets[-1]], value.values[: offsets[-1]]), True
