"""The sum of several native histograms, every field compensated by itself."""

from dataclasses import dataclass, field, replace

from nunchi.model.histogram import Histogram, ResetHint
from nunchi.model.histogram_arithmetic import harmonize, with_buckets
from nunchi.query.compensated import Sum


@dataclass
class HistogramSum:
    """A compensated sum of histograms, field by field."""

    layout: Histogram
    count: Sum = field(default_factory=Sum)
    sum: Sum = field(default_factory=Sum)
    zero_count: Sum = field(default_factory=Sum)
    positive: dict[int, Sum] = field(default_factory=dict)
    negative: dict[int, Sum] = field(default_factory=dict)
    hints: set[ResetHint] = field(default_factory=set)
    reconciled: bool = False

    @classmethod
    def of(cls, histograms: list[Histogram]) -> "HistogramSum":
        """The sum of all; raises `IncompatibleError`."""
        layout = histograms[0]
        reconciled = False
        for histogram in histograms[1:]:
            layout, _, mismatch = harmonize(layout, histogram)
            reconciled = reconciled or mismatch
        total = cls(layout, reconciled=reconciled, hints={histogram.reset_hint for histogram in histograms})
        for histogram in histograms:
            _, fitted, _ = harmonize(layout, histogram)
            total.count.add(fitted.count)
            total.sum.add(fitted.sum)
            total.zero_count.add(fitted.zero_count)
            for index, count in fitted.positive():
                total.positive.setdefault(index, Sum()).add(count)
            for index, count in fitted.negative():
                total.negative.setdefault(index, Sum()).add(count)
        return total

    @property
    def hint(self) -> ResetHint:
        """The hint of the sum."""
        if ResetHint.GAUGE in self.hints:
            return ResetHint.GAUGE
        return next(iter(self.hints)) if len(self.hints) == 1 else ResetHint.UNKNOWN

    @property
    def hints_collide(self) -> bool:
        """Whether some say that there was a reset, and some that there was none."""
        return {ResetHint.RESET, ResetHint.NOT_RESET} <= self.hints

    def total(self) -> Histogram:
        """The sum."""
        positive = {index: total.value for index, total in self.positive.items()}
        negative = {index: total.value for index, total in self.negative.items()}
        return replace(
            with_buckets(self.layout, positive, negative),
            count=self.count.value,
            sum=self.sum.value,
            zero_count=self.zero_count.value,
            reset_hint=self.hint,
        )
