"""The engine over any store as a setting of the script runner, with every experimental feature on."""

from collections.abc import Callable, Sequence

import numpy as np

from nunchi.model.batch import Batch
from nunchi.model.histogram import Histogram
from nunchi.model.series_group import Layout
from nunchi.query.engine import Engine, EngineSettings, QueryOptions
from nunchi.query.errors import ExecutionError
from nunchi.query.limits import Limits
from nunchi.query.syntax import EVERYTHING
from nunchi.query.values import Matrix, QueryResult, Samples, Scalar, String, Vector
from nunchi.storage.contracts import Store
from nunchi.testing.scripts import Answer, LoadedSeries

SETTINGS = EngineSettings(limits=Limits(samples_max=0), parser=EVERYTHING, delays_names=True)
ALL_NOTICES = QueryOptions(notices_max=0)


def answer_of(result: QueryResult) -> Answer:
    """A result as scripts compare it."""
    value, answer = result.value, Answer(warnings=result.warnings, infos=result.infos)
    match value:
        case Scalar():
            answer.scalar = value.value
        case String():
            answer.string = value.value
        case Vector():
            values = value.values.tolist()
            answer.series = [
                (value.labels.labels(row), [(value.timestamp_ms, values[row])]) for row in range(len(value))
            ]
        case Matrix():
            for row in range(len(value)):
                steps = np.flatnonzero(value.present[row])
                points = list(zip(value.times[steps].tolist(), value.values[row, steps].tolist(), strict=True))
                answer.series.append((value.labels.labels(row), points))
        case Samples():
            for row in range(len(value)):
                piece = slice(value.offsets[row], value.offsets[row + 1])
                points = list(zip(value.times[piece].tolist(), value.values[piece].tolist(), strict=True))
                answer.series.append((value.labels.labels(row), points))
    return answer


class EngineSetting:
    """Implements `testing.scripts.Setting`."""

    def __init__(self, store: Store, settings: EngineSettings = SETTINGS) -> None:
        self.store = store
        self.engine = Engine(settings)

    def append(self, series: Sequence[LoadedSeries]) -> None:
        """See `Setting.append`. Native histograms and start timestamps are not stored."""
        appender = self.store.appender()
        for loaded in series:
            if any(isinstance(sample.value, Histogram) or sample.start_timestamp_ms for sample in loaded.samples):
                raise ExecutionError("the store takes neither native histograms nor start timestamps")
            if loaded.samples:
                result = appender.append(
                    Batch.cells(
                        Layout.of(loaded.labels),
                        np.array([sample.timestamp_ms for sample in loaded.samples], np.int64),
                        np.zeros(len(loaded.samples), np.int32),
                        np.array([sample.value for sample in loaded.samples], np.float64),
                    )
                )
                if result.rejected:
                    raise ExecutionError(f"samples of {loaded.labels} were rejected: {result.rejected}")
        appender.commit()

    def instant(self, expression: str, at_ms: int) -> Answer:
        """See `Setting.instant`."""
        return answer_of(self.engine.instant(self.store.querier, expression, at_ms, ALL_NOTICES))

    def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        """See `Setting.range`."""
        return answer_of(self.engine.range(self.store.querier, expression, start_ms, end_ms, step_ms, ALL_NOTICES))


def settings_over(make_store: Callable[[], Store], settings: EngineSettings = SETTINGS) -> Callable[[], EngineSetting]:
    """What the script runner asks for: a new setting over a new store each time."""
    return lambda: EngineSetting(make_store(), settings)
