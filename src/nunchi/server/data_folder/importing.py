"""Bringing samples in from elsewhere: a source gives batches, they are appended, committed and sealed.

Invariant: what was committed stays whatever happens, and bringing the same in again is accepted in silence; so an interrupted
import is finished by running it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from nunchi.model.batch import Batch, Reason
from nunchi.server.data_folder.progress import Progress
from nunchi.storage.contracts import REJECTION_EXAMPLES_MAX, Rejection
from nunchi.tsdb.database import Database

SEAL_CELLS = 1 << 22
LATE_SECONDS_MAX = 1e10  # whatever was measured once may come in now


class Source(Protocol):
    """Where samples come from."""

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """All samples, the older ones first as far as that is cheap; tells `progress` before each batch."""
        ...

    @property
    def remarks(self) -> list[str]:
        """What could not be read, each with file, place and what is lost; complete when all batches were given."""
        ...


@dataclass(slots=True)
class ImportReport:
    """What became of the samples of a source."""

    accepted: int = 0
    rejected: dict[Reason, int] = field(default_factory=dict)
    examples: list[Rejection] = field(default_factory=list)
    min_time_ms: int | None = None
    max_time_ms: int | None = None
    remarks: list[str] = field(default_factory=list)


def import_samples(database: Database, source: Source, progress: Progress, report: ImportReport) -> None:
    """Append everything a source has; raises `WorldError`, `InputError`, `Interrupted`. `report` is kept up to date."""
    appender = database.appender()
    unsealed = 0
    try:
        for batch in source.batches(progress):
            result = appender.append(replace(batch, late_max_seconds=LATE_SECONDS_MAX))
            appender.commit()
            report.accepted += result.accepted
            for reason, count in result.rejected.items():
                report.rejected[reason] = report.rejected.get(reason, 0) + count
            report.examples.extend(result.examples[: REJECTION_EXAMPLES_MAX - len(report.examples)])
            if result.accepted:
                _widen(report, batch)
            unsealed += len(batch)
            if unsealed >= SEAL_CELLS:
                database.seal()
                unsealed = 0
        database.seal()
        progress.begin("compacting", 0)
        database.maintain()
    finally:
        report.remarks[:] = source.remarks


def _widen(report: ImportReport, batch: Batch) -> None:
    if len(batch.timestamps):
        first, last = int(batch.timestamps.min()), int(batch.timestamps.max())
        report.min_time_ms = first if report.min_time_ms is None else min(first, report.min_time_ms)
        report.max_time_ms = last if report.max_time_ms is None else max(last, report.max_time_ms)
