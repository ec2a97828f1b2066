"""The exemplars of a store: a circle of at most so many, of all series together; the oldest arrivals go first.

Not for two threads at once. Invariant: the exemplars of a series stand in the order of `model.exemplar.refuse`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nunchi.model.exemplar import Exemplar, ExemplarRefusal, refuse
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, all_match

EXEMPLARS_MAX = 100_000


class SeriesExemplars(NamedTuple):
    """Exemplars of one series, the oldest first."""

    labels: Labels
    exemplars: tuple[Exemplar, ...]


class ExemplarBuffer:
    """Exemplars by the label keys of their series."""

    def __init__(self, exemplars_max: int = EXEMPLARS_MAX) -> None:
        self._exemplars_max = exemplars_max
        self._arrivals: deque[bytes] = deque()
        self._by_key: dict[bytes, deque[Exemplar]] = {}
        self._labels: dict[bytes, Labels] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def hold(self, exemplars_max: int) -> None:
        """Keep at most so many from now on; 0: none."""
        self._exemplars_max = exemplars_max
        while len(self._arrivals) > exemplars_max:
            self._drop_oldest()

    def judge(self, key: bytes, exemplar: Exemplar, pending: Exemplar | None = None) -> ExemplarRefusal | None:
        """Why an exemplar would not be taken behind what is here, or behind one that will be here before it."""
        if self._exemplars_max == 0:
            return ExemplarRefusal.DISABLED
        return refuse(exemplar, pending or self._newest(key))

    def add(self, key: bytes, exemplar: Exemplar) -> ExemplarRefusal | None:
        """Take one, or say why not."""
        refusal = self.judge(key, exemplar)
        if refusal is not None:
            return refusal
        while len(self._arrivals) >= self._exemplars_max:
            self._drop_oldest()
        self._arrivals.append(key)
        held = self._by_key.get(key)
        if held is None:
            held = self._by_key[key] = deque()
            self._labels[key] = Labels.from_key(key)
        held.append(exemplar)
        return None

    def all(self) -> Iterator[tuple[bytes, Exemplar]]:
        """All of them in the order of their arrival."""
        passed: dict[bytes, Iterator[Exemplar]] = {key: iter(held) for key, held in self._by_key.items()}
        return ((key, next(passed[key])) for key in self._arrivals)

    def series(self) -> list[SeriesExemplars]:
        """All of them by series."""
        return [SeriesExemplars(self._labels[key], tuple(held)) for key, held in self._by_key.items()]

    def _newest(self, key: bytes) -> Exemplar | None:
        held = self._by_key.get(key)
        return held[-1] if held else None

    def _drop_oldest(self) -> None:
        key = self._arrivals.popleft()
        held = self._by_key[key]
        held.popleft()
        if not held:
            del self._by_key[key]
            del self._labels[key]


def select_exemplars(
    held: Sequence[SeriesExemplars], selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int
) -> list[SeriesExemplars]:
    """Those within [start_ms, end_ms] of the series that some selector matches, sorted by labels."""
    found = []
    for labels, exemplars in held:
        if any(all_match(selector, labels) for selector in selectors):
            within = tuple(one for one in exemplars if start_ms <= one.timestamp_ms <= end_ms)
            if within:
                found.append(SeriesExemplars(labels, within))
    return sorted(found, key=lambda series: series.labels.pairs)
