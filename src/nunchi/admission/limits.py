"""What the labels of an admitted series may be: how many, how long, how named. Zero means no limit.

Lengths are counted in bytes of UTF-8, as Prometheus counts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nunchi.model.labels import METRIC_NAME
from nunchi.model.names import NameScheme, is_encodable

SHOWN_CHARACTERS_MAX = 50


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """Bounds on one series' labels. `check` says what is wrong with a label set, or nothing."""

    labels_max: int = 0
    name_bytes_max: int = 0
    value_bytes_max: int = 0

    def __bool__(self) -> bool:
        return bool(self.labels_max or self.name_bytes_max or self.value_bytes_max)

    def check(self, labels: Mapping[str, str]) -> str:
        """Empty where the labels are within bounds, else which bound is broken, by what, and how far."""
        metric = labels.get(METRIC_NAME, "")[:SHOWN_CHARACTERS_MAX]
        if self.labels_max and len(labels) > self.labels_max:
            return f"label_limit exceeded (metric: {metric}, number of labels: {len(labels)}, limit: {self.labels_max})"
        if not self.name_bytes_max and not self.value_bytes_max:
            return ""
        for name, value in labels.items():
            where = f"(metric: {metric}, label name: {name[:SHOWN_CHARACTERS_MAX]}"
            if self.name_bytes_max and (length := len(name.encode())) > self.name_bytes_max:
                return f"label_name_length_limit exceeded {where}, length: {length}, limit: {self.name_bytes_max})"
            if self.value_bytes_max and (length := len(value.encode())) > self.value_bytes_max:
                return f"label_value_length_limit exceeded {where}, length: {length}, limit: {self.value_bytes_max})"
        return ""


NO_LIMITS = SeriesLimits()


def invalid_name(labels: Mapping[str, str], scheme: NameScheme) -> str:
    """Empty where a series may be called so, else what is wrong."""
    metric = labels.get(METRIC_NAME, "")
    if not metric:
        return "the series has no metric name"
    if not scheme.is_metric_name(metric):
        return f"invalid metric name {metric[:SHOWN_CHARACTERS_MAX]!r}"
    for name, value in labels.items():
        if not scheme.is_label_name(name):
            return f"invalid label name {name[:SHOWN_CHARACTERS_MAX]!r} (metric: {metric[:SHOWN_CHARACTERS_MAX]})"
        if not is_encodable(value):
            return (
                f"value of label {name[:SHOWN_CHARACTERS_MAX]!r} is no UTF-8 (metric: {metric[:SHOWN_CHARACTERS_MAX]})"
            )
    return ""
