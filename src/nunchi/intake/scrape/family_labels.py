"""`__type__` and `__unit__`: what a target says of a metric's family, as labels of its series.

Invariant: a family of unknown type gives no `__type__`, one without a unit no `__unit__`; what the exposition itself says under
these names stays then, and gives way otherwise.
"""

from collections.abc import Mapping
from typing import Final

from nunchi.model.labels import METRIC_NAME
from nunchi.model.metadata import Metadata, MetricType

TYPE: Final = "__type__"
UNIT: Final = "__unit__"
_CREATED: Final = "_created"
_SUFFIXES: Final[Mapping[MetricType, tuple[str, ...]]] = {
    MetricType.COUNTER: ("_total", _CREATED),
    MetricType.HISTOGRAM: ("_bucket", "_count", "_sum", _CREATED),
    MetricType.GAUGE_HISTOGRAM: ("_bucket", "_gcount", "_gsum"),
    MetricType.SUMMARY: ("_count", "_sum", _CREATED),
    MetricType.INFO: ("_info",),
}
_NOTHING: Final = Metadata()


class FamilyLabels:
    """One target's."""

    def __init__(self) -> None:
        self._families: dict[str, Metadata] = {}
        self._given: dict[str, dict[str, str]] = {}

    def learn(self, metadata: Mapping[str, Metadata]) -> bool:
        """Hear of families that are new or have changed. Returns whether labels given before would be others now."""
        if not metadata:
            return False
        self._families.update(metadata)
        return any(self._labels_of(name) != given for name, given in self._given.items())

    def add(self, labels: dict[str, str]) -> None:
        """Give a series the labels of its family."""
        name = labels.get(METRIC_NAME, "")
        given = self._given.get(name)
        if given is None:
            given = self._given[name] = self._labels_of(name)
        labels.update(given)

    def _labels_of(self, name: str) -> dict[str, str]:
        family = self._family_of(name)
        kind = "" if family.type is MetricType.UNKNOWN else family.type.value
        return {label: value for label, value in ((TYPE, kind), (UNIT, family.unit)) if value}

    def _family_of(self, name: str) -> Metadata:
        """The family of that very name, else the one of whose parts it is."""
        own = self._families.get(name)
        if own is not None:
            return own
        base, underscore, ending = name.rpartition("_")
        family = self._families.get(base, _NOTHING)
        return family if underscore + ending in _SUFFIXES.get(family.type, ()) else _NOTHING
