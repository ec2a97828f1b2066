"""What one run of a check found: samples and native histograms, in the order emitted, and of metric families the type, and
the help where there is one.

Invariant: an emission belongs to the one thread that runs the check until the run has ended; then nobody changes it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from nunchi.model.histogram import Histogram
from nunchi.model.metadata import MetricType

LabelPairs = tuple[tuple[str, str], ...]
Sample = tuple[str, LabelPairs, float]
EmittedHistogram = tuple[str, LabelPairs, Histogram]

SAMPLES_MAX = 20_000
NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Emission:
    """Takes samples from a check. More than `samples_max` are dropped and counted in `dropped`."""

    __slots__ = ("_labels", "dropped", "helps", "histograms", "samples", "samples_max", "types")

    def __init__(self, samples_max: int = SAMPLES_MAX, labels: Mapping[str, str] = NO_LABELS) -> None:
        """`labels` are added to every sample that has none of the name."""
        self._labels = labels
        self.samples: list[Sample] = []
        self.histograms: list[EmittedHistogram] = []
        self.types: dict[str, MetricType] = {}
        self.helps: dict[str, str] = {}
        self.samples_max = samples_max
        self.dropped = 0

    def counter(self, name: str, value: float, /, **labels: str) -> None:
        """A number that only grows."""
        self.add(MetricType.COUNTER, name, value, labels)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """A number that goes up and down."""
        self.add(MetricType.GAUGE, name, value, labels)

    def unknown(self, name: str, value: float, /, **labels: str) -> None:
        """A number whose nature the kernel does not declare; text expositions call it untyped."""
        self.add(MetricType.UNKNOWN, name, value, labels)

    def add(self, type_: MetricType, name: str, value: float, labels: Mapping[str, str]) -> None:
        """One sample, its type by parameter."""
        self.types[name] = type_
        self.sample(name, value, labels)

    def sample(self, name: str, value: float, labels: Mapping[str, str] = NO_LABELS) -> None:
        """One sample of a family whose type stands under another name in `types`: a histogram's bucket, a summary's sum."""
        if len(self.samples) >= self.samples_max:
            self.dropped += 1
            return
        if self._labels:
            labels = {**self._labels, **labels}
        self.samples.append((name, tuple(labels.items()), float(value)))
