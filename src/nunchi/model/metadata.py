"""What is known of a metric family besides its samples: type, help, unit."""

from dataclasses import dataclass
from enum import Enum


class MetricType(Enum):
    """The types that expositions declare; `unknown` is what text format 0.0.4 calls `untyped`."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gaugehistogram"
    SUMMARY = "summary"
    INFO = "info"
    STATESET = "stateset"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Of one metric family; empty texts where the exposition said nothing."""

    type: MetricType = MetricType.UNKNOWN
    help: str = ""
    unit: str = ""
