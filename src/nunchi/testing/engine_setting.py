"""The engine over any store as a setting of the script runner, with every experimental feature on."""

from collections.abc import Callable, Sequence

import numpy as np

from nunchi.model.batch import Batch
from nunchi.model.histogram import Histogram
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT
from nunchi.query.engine import Engine, EngineSettings, QueryOptions
from nunchi.query.errors import ExecutionError
from nunchi.query.limits import Limits
from nunchi.query.syntax import EVERYTHING
from nunchi.query.values import Matrix, QueryResult, Samples, Scalar, String, Vector
from nunchi.storage.contracts import Store
from nunchi.testing.scripts import Answer, LoadedSample, LoadedSeries

SETTINGS = EngineSettings(limits=Limits(samples_max=0), parser=EVERYTHING, delays_names=True)
ALL_NOTICES = QueryOptions(notices_max=0)


def batch_of(labels: Labels, samples: Sequence[LoadedSample]) -> Batch:
    """A batch of one series; its samples may be histograms and have start timestamps."""
    histograms = [sample.value for sample in samples if isinstance(sample.value, Histogram)]
    kinds = np.array([isinstance(sample.value, Histogram) for sample in samples], np.bool_)
    starts = np.array([sample.start_timestamp_ms for sample in samples], np.int64)
    return Batch.cells(
        Layout.of(labels),
        np.array([sample.timestamp_ms for sample in samples], np.int64),
        np.zeros(len(samples), np.int32),
        np.array([ABSENT if isinstance(s.value, Histogram) else s.value for s in samples], np.float64),
        histogram_of=np.where(kinds, np.cumsum(kinds) - 1, FLOAT).astype(np.int32) if histograms else None,
        histograms=HistogramColumns.of(histograms) if histograms else None,
        starts=starts if starts.any() else None,
    )


def answer_of(result: QueryResult) -> Answer:
    """A result as scripts compare it."""
    value, answer = result.value, Answer(warnings=result.warnings, infos=result.infos)
    match value:
        case Scalar():
            answer.scalar = value.value
        case String():
            answer.string = value.value
        case Vector() | Matrix() | Samples():
            answer.series = [(value.labels.labels(row), value.points(row)) for row in range(len(value))]
    return answer


class EngineSetting:
    """Implements `testing.scripts.Setting`."""

    def __init__(self, store: Store, settings: EngineSettings = SETTINGS) -> None:
        self.store = store
        self.engine = Engine(settings)

    def append(self, series: Sequence[LoadedSeries]) -> None:
        """See `Setting.append`."""
        appender = self.store.appender()
        for loaded in series:
            if loaded.samples:
                result = appender.append(batch_of(loaded.labels, loaded.samples))
                if result.rejected:
                    reasons = ", ".join(f"{count} as {reason.value}" for reason, count in result.rejected.items())
                    raise ExecutionError(f"samples of {loaded.labels} were rejected: {reasons}")
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
