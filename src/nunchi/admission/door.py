"""The door: relabel ▸ names ▸ limits, once per series; then append and commit, once per request.

Everything that comes from outside passes here: scrapes, remote write, the agents' pushes. Whatever the source, the ordered
list stands in `series_stages`, and what was accepted, dropped and rejected is counted per source and reason in one place.
Invariant: `append` has committed when it returns; when it raises, nothing of its batches is visible.
"""

from collections.abc import Callable, Mapping

import numpy as np

from nunchi.admission.limits import NO_LIMITS, SeriesLimits, invalid_name
from nunchi.admission.passage import Stage
from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch, Reason
from nunchi.model.names import NameScheme
from nunchi.model.relabel import Relabeller
from nunchi.storage.contracts import FUTURE_MS_MAX, REJECTION_EXAMPLES_MAX, Appender, AppendResult, Rejection

NO_RULES = Relabeller()
NO_MARKS: Mapping[str, bytes] = {}


def series_stages(
    rules: Relabeller = NO_RULES, scheme: NameScheme = NameScheme.UTF8, limits: SeriesLimits = NO_LIMITS
) -> tuple[Stage, ...]:
    """What judges a new series, in order."""
    stages: list[Stage] = []
    if rules:
        stages.append(lambda labels: None if rules.apply(labels) and labels else "")
    stages.append(lambda labels: invalid_name(labels, scheme) or None)
    if limits:
        stages.append(lambda labels: limits.check(labels) or None)
    return tuple(stages)


class Door:
    """The only way to the Appender for samples from outside."""

    def __init__(self, appender: Callable[[], Appender], clock: Clock, telemetry: Telemetry) -> None:
        self._appender = appender
        self._clock = clock
        self._accepted = telemetry.counter(
            "nunchi_admission_samples_accepted_total", "Samples stored, by where they came from.", "source"
        )
        self._rejected = telemetry.counter(
            "nunchi_admission_samples_rejected_total", "Samples refused for good, by reason.", "source", "reason"
        )
        self._dropped = telemetry.counter(
            "nunchi_admission_samples_dropped_total", "Samples of series that relabelling drops.", "source", "reason"
        )
        self._kept = telemetry.counter(
            "nunchi_admission_samples_kept_total", "Samples not stored now that are worth sending again.", "source"
        )

    def append(self, source: str, *batches: Batch, marks: Mapping[str, bytes] = NO_MARKS) -> AppendResult:
        """Append all batches and commit: they become visible together. Raises the store's `WorldError` unstored.

        `marks` are committed with them (see `Appender.mark`), unless something of the batches was kept out for now.
        """
        appender = self._appender()
        result = AppendResult()
        try:
            for batch in batches:
                judged = self._without_future(batch, result)
                if len(judged) or judged.exemplars:
                    _add(result, appender.append(judged))
            if not result.kept:
                for key, value in marks.items():
                    appender.mark(key, value)
            appender.commit()
        except BaseException as error:
            appender.rollback()
            if isinstance(error, WorldError):
                self._kept.add(sum(map(len, batches)), source)
            raise
        self._accepted.add(result.accepted, source)
        for reason, count in result.rejected.items():
            self._rejected.add(count, source, reason.value)
        if result.kept:
            self._kept.add(result.kept, source)
        return result

    def count_dropped(self, source: str, samples: int, reason: str = "relabelling") -> None:
        """Samples that a passage let through to nowhere."""
        if samples:
            self._dropped.add(samples, source, reason)

    def count_rejected(self, source: str, samples: int, reason: Reason) -> None:
        """Samples that were refused before they became part of a batch."""
        if samples:
            self._rejected.add(samples, source, reason.value)

    def _without_future(self, batch: Batch, result: AppendResult) -> Batch:
        """The batch without rows that are too far ahead of the clock; nearly always the batch itself."""
        newest_ms = self._clock.now_ms() + FUTURE_MS_MAX
        if len(batch.timestamps) == 0 or batch.timestamps.max() <= newest_ms:
            return batch
        times = batch.cell_timestamps()
        late = times > newest_ms
        for cell in np.flatnonzero(late).tolist():
            if len(result.examples) >= REJECTION_EXAMPLES_MAX:
                break
            labels = batch.layout.labels(int(batch.columns[cell]))
            result.examples.append(Rejection(Reason.TOO_FAR_IN_FUTURE, labels, int(times[cell])))
        result.rejected[Reason.TOO_FAR_IN_FUTURE] = result.rejected.get(Reason.TOO_FAR_IN_FUTURE, 0) + int(late.sum())
        return batch.keep(~late)


def _add(total: AppendResult, part: AppendResult) -> None:
    total.accepted += part.accepted
    total.kept += part.kept
    for reason, count in part.rejected.items():
        total.rejected[reason] = total.rejected.get(reason, 0) + count
    total.examples += part.examples[: REJECTION_EXAMPLES_MAX - len(total.examples)]
