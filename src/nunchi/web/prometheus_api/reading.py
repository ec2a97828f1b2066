"""From requests to threads: everything that reads samples or series takes a slot of the query runner, and fails like a query.

Invariant: nothing here blocks the event loop; a querier is closed by whoever opened it, in its thread.
"""

from collections.abc import Callable
from typing import TypeVar

from nunchi.query.engine import Engine
from nunchi.query.errors import ParseError, QueryCanceled, QueryError, QueryTimeout
from nunchi.query.limits import Budget
from nunchi.query.runner import QueryRunner
from nunchi.storage.contracts import Querier
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter

Found = TypeVar("Found")


class Reading:
    """Reads through fresh queriers."""

    def __init__(self, runner: QueryRunner, open_querier: Callable[[], Querier]) -> None:
        self._runner = runner
        self._open_querier = open_querier

    @property
    def engine(self) -> Engine:
        """Who evaluates."""
        return self._runner.engine

    async def evaluate(
        self,
        work: Callable[[Engine, Callable[[], Querier], Budget], Found],
        timeout_seconds: float | None = None,
    ) -> Found:
        """Run a query and whatever its result needs, with the engine."""
        return await self._run(lambda budget: work(self._runner.engine, self._open_querier, budget), timeout_seconds)

    async def read(self, work: Callable[[Querier], Found]) -> Found:
        """Run what needs a querier alone."""

        def read(_: Budget) -> Found:
            querier = self._open_querier()
            try:
                return work(querier)
            finally:
                querier.close()

        return await self._run(read)

    async def _run(self, work: Callable[[Budget], Found], timeout_seconds: float | None = None) -> Found:
        try:
            return await self._runner.run(work, timeout_seconds)
        except QueryError as error:
            raise query_failure(error) from error


def query_failure(error: QueryError) -> ApiError:
    """A query's error as the API names it."""
    match error:
        case ParseError():
            return invalid_parameter("query", str(error))
        case QueryCanceled():
            return ApiError("canceled", str(error))
        case QueryTimeout():
            return ApiError("timeout", str(error))
        case _:
            return ApiError("execution", str(error))
