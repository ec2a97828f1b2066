"""How rules ask for query results: one method, implemented over the query runner's own slot for rules.

Invariant: rules never wait behind the queries of users; what fails comes as a `QueryError`.
"""

from typing import Protocol

from nunchi.query.values import Scalar, Vector


class Evaluator(Protocol):
    """Answers instant queries of rules and of their templates."""

    async def evaluate(self, expression: str, at_ms: int) -> Vector | Scalar:
        """The value of an expression at a time; raises `QueryError`, also where it is neither vector nor scalar."""
        ...
