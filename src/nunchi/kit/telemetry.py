"""Our own counters, gauges and histograms: passed in, never global, rendered as text exposition.

Invariant: an instrument of one name is made once; label values are given in the order of the declared label names.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

LabelValues = tuple[str, ...]
InstrumentT = TypeVar("InstrumentT", bound="Instrument")

DURATION_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Instrument:
    """What counter, gauge and histogram share: a name, a help text, label names, one state per label values."""

    type: Literal["counter", "gauge", "histogram"]

    def __init__(self, name: str, help_text: str, label_names: Sequence[str]) -> None:
        self.name = name
        self.help_text = help_text
        self.label_names = tuple(label_names)

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """(name, labels, value) of every sample this instrument shows now."""
        raise NotImplementedError


class Counter(Instrument):
    """A number that only grows: counted here, or read from `observe` when somebody looks."""

    type = "counter"

    def __init__(self, name: str, help_text: str, label_names: Sequence[str]) -> None:
        super().__init__(name, help_text, label_names)
        self._values: dict[LabelValues, float] = {} if label_names else {(): 0.0}
        self._observe: Callable[[], float] | None = None

    def add(self, amount: float = 1, *label_values: str) -> None:
        """Count `amount` more."""
        assert amount >= 0, self.name
        assert len(label_values) == len(self.label_names), self.name
        self._values[label_values] = self._values.get(label_values, 0.0) + amount

    def value(self, *label_values: str) -> float:
        """What was counted so far."""
        return self._values.get(label_values, 0.0)

    def observe_with(self, observe: Callable[[], float]) -> None:
        """Ask this function, which counts by itself, whenever the counter is read; for counters without labels."""
        assert not self.label_names, self.name
        self._observe = observe

    def total(self) -> float:
        """The sum over all label values."""
        return sum(self._values.values())

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """See `Instrument.samples`."""
        if self._observe is not None:
            yield self.name, (), self._observe()
            return
        for label_values, value in list(self._values.items()):
            yield self.name, tuple(zip(self.label_names, label_values, strict=True)), value


class Gauge(Instrument):
    """A number that goes up and down: set here, or read from `observe` when somebody looks."""

    type = "gauge"

    def __init__(self, name: str, help_text: str, label_names: Sequence[str]) -> None:
        super().__init__(name, help_text, label_names)
        self._values: dict[LabelValues, float] = {}
        self._observe: Callable[[], float] | None = None

    def set(self, value: float, *label_values: str) -> None:
        """Take this value from now on."""
        assert len(label_values) == len(self.label_names), self.name
        self._values[label_values] = value

    def remove(self, *label_values: str) -> None:
        """Show no value for these labels any more."""
        self._values.pop(label_values, None)

    def observe_with(self, observe: Callable[[], float]) -> None:
        """Ask this function whenever the gauge is read; for gauges without labels."""
        assert not self.label_names, self.name
        self._observe = observe

    def value(self, *label_values: str) -> float | None:
        """The present value, None where none was set."""
        if self._observe is not None:
            return self._observe()
        return self._values.get(label_values)

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """See `Instrument.samples`."""
        if self._observe is not None:
            yield self.name, (), float(self._observe())
            return
        for label_values, value in list(self._values.items()):
            yield self.name, tuple(zip(self.label_names, label_values, strict=True)), value


class Histogram(Instrument):
    """Counts of observations below fixed upper bounds, with their sum."""

    type = "histogram"

    def __init__(self, name: str, help_text: str, label_names: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, help_text, label_names)
        self._bounds = tuple(bounds)
        assert list(self._bounds) == sorted(self._bounds), name
        self._states: dict[LabelValues, tuple[list[int], list[float]]] = {}
        if not label_names:
            self._states[()] = self._empty()

    def _empty(self) -> tuple[list[int], list[float]]:
        return [0] * (len(self._bounds) + 1), [0.0]

    def observe(self, value: float, *label_values: str) -> None:
        """Count one observation."""
        assert len(label_values) == len(self.label_names), self.name
        counts, total = self._states.setdefault(label_values, self._empty())
        counts[bisect_left(self._bounds, value)] += 1
        total[0] += value

    def samples(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        """See `Instrument.samples`."""
        for label_values, (counts, total) in list(self._states.items()):
            labels = tuple(zip(self.label_names, label_values, strict=True))
            cumulative = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                cumulative += count
                le = "+Inf" if bound == float("inf") else repr(float(bound))
                yield f"{self.name}_bucket", (*labels, ("le", le)), float(cumulative)
            yield f"{self.name}_sum", labels, total[0]
            yield f"{self.name}_count", labels, float(cumulative)


class Telemetry:
    """All instruments of one process, or of one part in a test."""

    def __init__(self) -> None:
        self._instruments: dict[str, Instrument] = {}

    def counter(self, name: str, help_text: str, *label_names: str) -> Counter:
        """Make a counter; its name ends in `_total`."""
        assert name.endswith("_total"), name
        return self._register(Counter(name, help_text, label_names))

    def gauge(self, name: str, help_text: str, *label_names: str) -> Gauge:
        """Make a gauge."""
        return self._register(Gauge(name, help_text, label_names))

    def histogram(
        self, name: str, help_text: str, *label_names: str, bounds: Sequence[float] = DURATION_BUCKETS
    ) -> Histogram:
        """Make a histogram with these upper bounds (seconds by default); `+Inf` is implied."""
        return self._register(Histogram(name, help_text, label_names, bounds))

    def find(self, name: str) -> Instrument | None:
        """The instrument of a name, for parts of which a process has several: the first makes it, the others share it."""
        return self._instruments.get(name)

    def instruments(self) -> list[Instrument]:
        """Every instrument, by name."""
        return [self._instruments[name] for name in sorted(self._instruments)]

    def _register(self, instrument: InstrumentT) -> InstrumentT:
        if instrument.name in self._instruments:
            raise ValueError(f"instrument {instrument.name} exists already: make it once and pass it on")
        self._instruments[instrument.name] = instrument
        return instrument
