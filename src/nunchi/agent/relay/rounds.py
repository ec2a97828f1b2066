"""From samples of one source to rounds. They have times of their own, so they say nothing of whether this agent is up, and take
the place of what was delivered for the same time before: a source that repeats a request does no harm.

Invariant: a source has at most `series_max` series; a place is given up once nothing has come for it for an hour.
"""

from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from nunchi.agent.relay.format import RelayedSample
from nunchi.agent.relay_settings import RelaySource
from nunchi.agent.rounds import Round, clean
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.metadata import Metadata
from nunchi.model.series_group import Layout

FUTURE_MS_MAX = 600_000
PAST_MS_MAX = 7 * 24 * 3_600_000
IDLE_MS = 3_600_000


class SourceRounds:
    """Makes rounds of one source's samples."""

    def __init__(self, name: str, settings: RelaySource) -> None:
        self._job = settings.job or name
        self._labels = settings.labels
        self._series_max = settings.series_max
        self._seen_ms: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen_ms)

    def rounds(
        self, samples: Sequence[RelayedSample], agent_labels: Mapping[str, str], now_ms: int
    ) -> tuple[list[Round], dict[str, int]]:
        """Rounds by time, and how many samples were dropped by reason."""
        shared = {**agent_labels, **self._labels}
        layout, columns = Layout(), dict[bytes, int]()
        rows: dict[int, dict[int, float]] = {}
        metadata: dict[str, Metadata] = {}
        dropped: dict[str, int] = {}
        for one in samples:
            reason = self._reason(one.timestamp_ms, now_ms)
            key = b"" if reason else self._key(one, shared)
            if not reason and not self._admit(key, now_ms):
                reason = "series_max"
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
                continue
            column = columns.get(key)
            if column is None:
                column = columns[key] = layout.append(key)
            row = rows.setdefault(one.timestamp_ms, {})
            if column in row:
                dropped["duplicate"] = dropped.get("duplicate", 0) + 1
            row[column] = one.value
            metadata[one.name] = Metadata(one.type)
        rounds: list[Round] = []
        for at_ms, cells in sorted(rows.items()):
            told = {} if rounds else metadata
            rounds.append(Round(at_ms, layout, array("i", cells), array("d", cells.values()), told, replaces=True))
        return rounds, dropped

    @staticmethod
    def _reason(timestamp_ms: int, now_ms: int) -> str:
        if timestamp_ms > now_ms + FUTURE_MS_MAX:
            return "future"
        return "too_old" if timestamp_ms < now_ms - PAST_MS_MAX else ""

    def _key(self, one: RelayedSample, shared: Mapping[str, str]) -> bytes:
        own = {**shared, **one.labels}
        claimed = own.pop("job", "")
        if claimed and claimed != self._job:
            own["exported_job"] = claimed
        own = {**own, "job": self._job, METRIC_NAME: one.name}
        return Labels((label, clean(value)) for label, value in own.items()).key()

    def _admit(self, key: bytes, now_ms: int) -> bool:
        seen = self._seen_ms
        if key not in seen and len(seen) >= self._series_max:
            oldest = next(iter(seen))
            if now_ms - seen[oldest] < IDLE_MS:
                return False
            del seen[oldest]
        seen[key] = now_ms
        seen.move_to_end(key)
        return True
