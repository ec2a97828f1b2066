"""What the series of a store are spent on: the names, labels and pairs that most of them have.

Any store can be counted by its label table (`count_labels`); one that knows better implements `CardinalitySource`.
Invariant: bytes of a label are those of its values' texts, each as often as series have it, as Prometheus counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable

Row = tuple[str, int]


@dataclass(slots=True)
class Cardinality:
    """Of some series; rows are (name, count), the largest first."""

    series: int = 0
    pairs: int = 0
    chunks: int = 0
    min_time_ms: int = 0
    max_time_ms: int = 0
    metrics: list[Row] = field(default_factory=list)
    label_values: list[Row] = field(default_factory=list)
    label_bytes: list[Row] = field(default_factory=list)
    label_pairs: list[Row] = field(default_factory=list)


class CardinalitySource(Protocol):
    """Who counts without reading samples."""

    def cardinality(self, selectors: Sequence[Sequence[Matcher]], rows: int) -> Cardinality:
        """Of the series that are being written and match any of the selectors (none: all), `rows` a table at most."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Distinct label pairs, as symbols, and how many series have each."""

    names: NDArray[np.int64]
    values: NDArray[np.int64]
    series: NDArray[np.int64]


def count_labels(table: LabelTable, rows: int) -> Cardinality:
    """Of the series of a label table."""
    codes, series = np.unique(table.names.astype(np.int64) << 32 | table.values, return_counts=True)
    pairs = Pairs(codes >> 32, codes & 0xFFFFFFFF, series)
    symbols = table.symbols
    lengths = np.zeros(len(symbols), np.int64)
    for value in np.unique(pairs.values).tolist():
        lengths[value] = len(symbols.text(value).encode("utf-8", "surrogatepass"))
    metric_name = symbols.find(METRIC_NAME)
    found = count_pairs(
        pairs, lengths, -1 if metric_name is None else metric_name, rows, lambda some: [symbols.text(n) for n in some]
    )
    found.series = len(table)
    return found


def count_pairs(
    pairs: Pairs,
    lengths: NDArray[np.int64],
    metric_name: int,
    rows: int,
    texts: Callable[[list[int]], list[str]],
) -> Cardinality:
    """Of pairs that are counted already. `lengths`: bytes of each symbol's text; `texts` gives the texts of some symbols."""
    names, inverse, distinct = np.unique(pairs.names, return_inverse=True, return_counts=True)
    room = np.bincount(inverse, lengths[pairs.values] * pairs.series, len(names)).astype(np.int64)
    of_metrics = np.flatnonzero(pairs.names == metric_name)
    metrics = of_metrics[_largest(pairs.series[of_metrics], rows)]
    common = _largest(pairs.series, rows)
    by_values, by_room = _largest(distinct, rows), _largest(room, rows)
    joined = zip(texts(pairs.names[common].tolist()), texts(pairs.values[common].tolist()), strict=True)
    return Cardinality(
        pairs=len(pairs.names),
        metrics=_rows(texts(pairs.values[metrics].tolist()), pairs.series[metrics]),
        label_values=_rows(texts(names[by_values].tolist()), distinct[by_values]),
        label_bytes=_rows(texts(names[by_room].tolist()), room[by_room]),
        label_pairs=_rows([f"{name}={value}" for name, value in joined], pairs.series[common]),
    )


def _largest(counts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    if len(counts) > rows:
        least = np.partition(counts, len(counts) - rows)[len(counts) - rows]
        chosen = np.flatnonzero(counts >= least)
        return chosen[np.argsort(-counts[chosen], kind="stable")[:rows]]
    return np.argsort(-counts, kind="stable")


def _rows(names: Sequence[str], counts: NDArray[np.int64]) -> list[Row]:
    return list(zip(names, counts.tolist(), strict=True))
