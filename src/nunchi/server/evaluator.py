"""Queries of rules: a runner of their own, so that they never wait behind the queries of users."""

from nunchi.query.errors import ExecutionError
from nunchi.query.runner import QueryRunner
from nunchi.query.values import Scalar, Vector
from nunchi.storage.contracts import Store


class RuleEvaluator:
    """Implements `rules.evaluator.Evaluator`."""

    def __init__(self, queries: QueryRunner, store: Store) -> None:
        self._queries = queries
        self._store = store

    async def evaluate(self, expression: str, at_ms: int) -> Vector | Scalar:
        """See `Evaluator.evaluate`."""
        value = (await self._queries.instant(self._store.querier, expression, at_ms)).value
        if isinstance(value, Vector | Scalar):
            return value
        raise ExecutionError(f"rules need a vector or a scalar; {expression} gives a {type(value).__name__.lower()}")
