"""From values of a cloud, each with its own time, to rounds that overwrite what was delivered for the same time before.

Invariant: a value is handed on once, and again only when the cloud has changed it since; times are the cloud's.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nunchi.agent.rounds import Round, clean
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE

Points = Sequence[tuple[int, float]]  # (timestamp in milliseconds, value)

SAMPLES_MAX = 50_000  # of one hand-over


class RoundsSink(Protocol):
    """Takes rounds that are ready."""

    def put_rounds(self, rounds: Sequence[Round]) -> None:
        """Take rounds that belong together; must not wait."""
        ...


@dataclass(frozen=True, slots=True)
class CloudSeries:
    """A metric name and labels, without those that say which agent it was."""

    name: str
    labels: tuple[tuple[str, str], ...]


class SampleWriter:
    """Makes rounds of points. `labels` are added to every series that has none of the name, and its provider's `job`."""

    def __init__(self, labels: Mapping[str, str], sink: RoundsSink) -> None:
        self.labels = dict(labels)
        self._sink = sink
        self.samples = 0

    def put(self, job: str, found: Sequence[tuple[CloudSeries, Points]], *, replaces: bool) -> None:
        """Hand points on. With `replaces` they overwrite what is stored for their times."""
        begin = count = 0
        for end, (_, points) in enumerate(found, 1):
            count += len(points)
            if count >= SAMPLES_MAX or end == len(found):
                if count:
                    self._sink.put_rounds(self._rounds(job, found[begin:end], replaces=replaces))
                    self.samples += count
                begin, count = end, 0

    def _rounds(self, job: str, found: Sequence[tuple[CloudSeries, Points]], *, replaces: bool) -> list[Round]:
        layout = Layout()
        columns_by_key: dict[bytes, int] = {}
        rows: dict[int, dict[int, float]] = {}
        metadata: dict[str, Metadata] = {}
        for series, points in found:
            own = {**self.labels, **dict(series.labels), "job": job, METRIC_NAME: series.name}
            key = Labels((name, clean(value)) for name, value in own.items() if value).key()
            column = columns_by_key.get(key)
            if column is None:
                column = columns_by_key[key] = layout.append(key)
            metadata[series.name] = Metadata(MetricType.GAUGE)
            for timestamp_ms, value in points:
                rows.setdefault(timestamp_ms, {})[column] = value
        rounds: list[Round] = []
        for timestamp_ms, cells in sorted(rows.items()):
            columns, values = array("i", cells), array("d", cells.values())
            rounds.append(Round(timestamp_ms, layout, columns, values, {} if rounds else metadata, replaces=replaces))
        return rounds


class Delivered:
    """What was handed on of each series within the window that is looked at again, and which series have ended.

    A series ends when a whole window had no value of it, or nobody asks for it any more. Its marker stands one period
    after its last value: should the cloud have a value for that time after all, that replaces the marker.
    """

    def __init__(self) -> None:
        self._known: dict[CloudSeries, tuple[array[int], array[float], int]] = {}
        self._ended: list[tuple[CloudSeries, int]] = []
        self.corrected = 0

    def changed(self, series: CloudSeries, points: Points, since_ms: int, period_ms: int) -> list[tuple[int, float]]:
        """The points that are new or other than before; they count as handed on. Older ones than `since_ms` are forgotten."""
        known = self._known.get(series)
        before = dict(zip(known[0], known[1], strict=True)) if known else {}
        found = [(timestamp_ms, value) for timestamp_ms, value in points if before.get(timestamp_ms) != value]
        self.corrected += sum(timestamp_ms in before for timestamp_ms, _ in found)
        before.update(found)
        kept = {timestamp_ms: value for timestamp_ms, value in before.items() if timestamp_ms >= since_ms}
        if kept and (found or len(kept) < len(before)):
            self._known[series] = (array("q", kept), array("d", kept.values()), period_ms)
        elif not kept and known:
            self._end(series)
        return found

    def forget_before(self, since_ms: int) -> None:
        """Series that have had no value since have ended."""
        for series in [series for series, (times, _, _) in self._known.items() if max(times) < since_ms]:
            self._end(series)

    def take_markers(self) -> list[tuple[CloudSeries, Points]]:
        """The staleness markers of what has ended since the last time."""
        markers: list[tuple[CloudSeries, Points]] = [(series, ((at_ms, STALE),)) for series, at_ms in self._ended]
        self._ended.clear()
        return markers

    def _end(self, series: CloudSeries) -> None:
        times, _, period_ms = self._known.pop(series)
        self._ended.append((series, max(times) + period_ms))

    def __len__(self) -> int:
        return len(self._known)
