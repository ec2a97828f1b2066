"""An example attached to a sample, mostly a trace's id: what was observed, when, and labels of its own.

Invariant: the labels name the example, never the series; who passes an exemplar on says which series it belongs to.
"""

from dataclasses import dataclass
from enum import Enum

from nunchi.model.labels import Labels
from nunchi.model.staleness import bits_of

LABEL_CHARACTERS_MAX = 128
"""Of all names and values together, as OpenMetrics says."""


class ExemplarRefusal(Enum):
    """Why an exemplar was not stored."""

    DUPLICATE = "duplicate_exemplar"
    OUT_OF_ORDER = "out_of_order_exemplar"
    LABELS_TOO_LONG = "exemplar_label_length"
    DISABLED = "exemplar_storage_is_disabled"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One exemplar. `has_timestamp`: the time is its own, not that of the sample it came with."""

    labels: Labels
    value: float
    timestamp_ms: int
    has_timestamp: bool = True

    def is_same(self, other: "Exemplar") -> bool:
        """Whether two say the same; times that are not their own do not count."""
        if self.labels != other.labels or bits_of(self.value) != bits_of(other.value):
            return False
        return self.timestamp_ms == other.timestamp_ms or not (self.has_timestamp or other.has_timestamp)


def refuse(exemplar: Exemplar, newest: Exemplar | None) -> ExemplarRefusal | None:
    """Why an exemplar does not go behind the newest of its series, None where it does: the rules of Prometheus."""
    if sum(len(name) + len(value) for name, value in exemplar.labels.pairs) > LABEL_CHARACTERS_MAX:
        return ExemplarRefusal.LABELS_TOO_LONG
    if newest is None:
        return None
    if exemplar.is_same(newest):
        return ExemplarRefusal.DUPLICATE
    order = (exemplar.timestamp_ms, exemplar.value, exemplar.labels.pairs)
    return ExemplarRefusal.OUT_OF_ORDER if order < (newest.timestamp_ms, newest.value, newest.labels.pairs) else None
