"""Which series of two vectors belong together: the same number for the same values of the matching labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable
from nunchi.query.operators import tables
from nunchi.query.syntax.nodes import Matching


@dataclass(frozen=True, slots=True, eq=False)
class MatchKeys:
    """Match groups of both sides.

    left, right   int64[series]: the match group of each series
    count         how many match groups there are
    left_labels   the matching labels of the left series, right_labels of the right ones
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    count: int
    left_labels: LabelTable
    right_labels: LabelTable


def matching_labels(table: LabelTable, matching: Matching) -> LabelTable:
    """The labels that decide a match; the metric name only where `on` lists it."""
    if matching.is_on:
        return tables.keep_labels(table, matching.labels)
    return tables.drop_labels(table, (*matching.labels, METRIC_NAME))


def match_keys(left: LabelTable, right: LabelTable, matching: Matching) -> MatchKeys:
    """The match groups of two tables."""
    left_labels, right_labels = matching_labels(left, matching), matching_labels(right, matching)
    ids, firsts = tables.group(tables.concatenate(left.symbols, (left_labels, right_labels)))
    return MatchKeys(ids[: len(left)], ids[len(left) :], len(firsts), left_labels, right_labels)
