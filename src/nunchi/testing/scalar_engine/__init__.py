"""The obvious evaluator of PromQL, oracle of the fast one: `ScalarEngine` over a `ScalarStore`."""

from nunchi.testing.scalar_engine.engine import ScalarEngine, ScalarResult
from nunchi.testing.scalar_engine.evaluation import ScalarSettings
from nunchi.testing.scalar_engine.store import ScalarStore
from nunchi.testing.scalar_engine.values import Point

__all__ = ["Point", "ScalarEngine", "ScalarResult", "ScalarSettings", "ScalarStore"]
