"""`query/explain` and `query/profile`: how an expression would be evaluated, and what evaluating it cost, node by node."""

from collections.abc import Callable

from nunchi.kit.http_route import Route
from nunchi.query.engine import Engine, QueryOptions
from nunchi.query.limits import Budget
from nunchi.query.rendering import result_type
from nunchi.query.values import Scalar, String
from nunchi.storage.contracts import Querier
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.query import QuerySpan, Wishes, shown_statistics
from nunchi.web.prometheus_api.reading import Reading

OpenQuerier = Callable[[], Querier]


class QueryPlanEndpoints:
    """Both take what `query_range` takes where a `step` is given, else what `query` takes."""

    def __init__(self, reading: Reading, now_ms: Callable[[], int]) -> None:
        self._reading = reading
        self._now_ms = now_ms

    def routes(self, envelope: Envelope) -> list[Route]:
        """Both."""
        return [
            *envelope.read("/api/nunchi/v1/query/explain", self.explain, "GET", "POST"),
            *envelope.read("/api/nunchi/v1/query/profile", self.profile, "GET", "POST"),
        ]

    async def explain(self, parameters: Parameters) -> Answer:
        """The plan, with what its selectors would read; nothing is evaluated."""
        wishes, span = Wishes.of(parameters), self._span(parameters)

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            options = QueryOptions(wishes.lookback_ms, budget)
            return Answer({"plan": engine.explain(open_querier, wishes.expression, *span, options)})

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    async def profile(self, parameters: Parameters) -> Answer:
        """The plan with what each node cost, and how large the result is; the result itself is thrown away."""
        wishes, span = Wishes.of(parameters), self._span(parameters)

        def work(engine: Engine, open_querier: OpenQuerier, budget: Budget) -> Answer:
            options = QueryOptions(wishes.lookback_ms, budget)
            result, report = engine.profile(open_querier, wishes.expression, *span, options)
            value = result.value
            data = {
                "plan": report,
                "resultType": result_type(value),
                "series": 1 if isinstance(value, Scalar | String) else len(value),
                "stats": shown_statistics(result.statistics),
            }
            return Answer(data, result.warnings, result.infos)

        return await self._reading.evaluate(work, wishes.timeout_seconds)

    def _span(self, parameters: Parameters) -> QuerySpan:
        if parameters.text("step"):
            return QuerySpan.of(parameters)
        at_ms = parameters.time_ms("time", self._now_ms())
        return QuerySpan(at_ms, at_ms, 0)
