"""Functions of histograms: those of native ones, and the two that read classic buckets as well."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.query.errors import ExecutionError
from nunchi.query.histograms.statistics import has_nan_observations, native_variance
from nunchi.query.remarks import (
    BAD_BUCKET,
    BAD_QUANTILE,
    MIXED_CLASSIC,
    NAN_FRACTION,
    NAN_RESULT,
    NAN_SKEW,
)
from nunchi.query.syntax.literals import format_number
from nunchi.query.syntax.nodes import Call, Node, unwrap
from nunchi.testing.scalar_engine.evaluation import Evaluation, Result
from nunchi.testing.scalar_engine.native_statistics import native_fraction, native_quantile
from nunchi.testing.scalar_engine.quantiles import (
    ClassicBucket,
    classic_fraction,
    classic_quantile,
)
from nunchi.testing.scalar_engine.ranges import format_g
from nunchi.testing.scalar_engine.values import Element

# The engine says more: which buckets, and by how much.
NOT_MONOTONIC = 'input to histogram_quantile needed to be fixed for monotonicity for metric name "{}"'


def _field(compute: Callable[[Histogram], float], *, needs_buckets: bool) -> Callable[[Evaluation, Call, int], Result]:
    """A number of each histogram; plain numbers are left out. Where buckets are not needed, hints are exact."""

    def evaluate(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
        before, evaluation.exact_hints = evaluation.exact_hints, not needs_buckets
        elements = evaluation.vector(node.arguments[0], at_ms)
        evaluation.exact_hints = before
        return evaluation.renamed(
            [replace(e, value=compute(e.value)) for e in elements if isinstance(e.value, Histogram)]
        )

    return evaluate


def _mean(histogram: Histogram) -> float:
    return histogram.sum / histogram.count if histogram.count else math.nan


class _Group:
    """The series that make up one histogram."""

    def __init__(self) -> None:
        self.buckets: list[ClassicBucket] = []
        self.native: Element | None = None
        self.sample: Element | None = None


def _grouped(evaluation: Evaluation, node: Node, at_ms: int) -> list[tuple[Element, "list[ClassicBucket] | Histogram"]]:
    """Native histograms, and classic ones gathered from their buckets; the elements carry the labels of the result."""
    before, evaluation.exact_hints = evaluation.exact_hints, False
    elements = evaluation.vector(node, at_ms)
    evaluation.exact_hints = before
    groups: dict[Labels, _Group] = {}
    position = unwrap(node).span.start
    for element in elements:
        name = element.labels.metric_name
        labels = element.labels
        if isinstance(element.value, Histogram):
            group = groups.setdefault(labels, _Group())
            group.native = group.sample = element
            continue
        try:
            upper = float(labels.get("le"))
        except ValueError:
            evaluation.notices.warn(BAD_BUCKET.format(labels.get("le"), name), position)
            continue
        group = groups.setdefault(labels.drop("le"), _Group())
        group.buckets.append(ClassicBucket(upper, element.value))
        group.sample = group.sample or replace(element, labels=labels.drop("le"))
    found: list[tuple[Element, list[ClassicBucket] | Histogram]] = []
    for group in groups.values():
        assert group.sample is not None
        if group.native is not None and group.buckets:
            evaluation.notices.warn(MIXED_CLASSIC.format(group.native.labels.metric_name), position)
        elif group.native is not None and isinstance(group.native.value, Histogram):
            found.append((group.native, group.native.value))
        else:
            found.append((group.sample, group.buckets))
    return found


def _quantile(
    evaluation: Evaluation, element: Element, source: "list[ClassicBucket] | Histogram", rank: float, position: int
) -> float:
    name = element.labels.metric_name
    if isinstance(source, Histogram):
        value = native_quantile(rank, source)
        if has_nan_observations(source) and 0 <= rank <= 1:
            text = NAN_RESULT if math.isnan(value) else NAN_SKEW
            evaluation.notices.inform(text.format(name), position)
        return value
    result = classic_quantile(rank, source)
    if result.was_repaired:
        evaluation.notices.inform(NOT_MONOTONIC.format(name), position)
    return result.value


def _check_rank(evaluation: Evaluation, rank: float, position: int) -> None:
    if not 0 <= rank <= 1:
        evaluation.notices.warn(BAD_QUANTILE.format(format_g(rank)), position)


def _histogram_quantile(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    rank = evaluation.number(node.arguments[0], at_ms)
    _check_rank(evaluation, rank, unwrap(node.arguments[0]).span.start)
    position = unwrap(node.arguments[1]).span.start
    return evaluation.renamed(
        [
            replace(element, value=_quantile(evaluation, element, source, rank, position))
            for element, source in _grouped(evaluation, node.arguments[1], at_ms)
        ]
    )


def _histogram_quantiles(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    label = evaluation.text(node.arguments[1], at_ms)
    if not label:
        raise ExecutionError(f'invalid label name "{label}"')
    ranks = []
    for argument in node.arguments[2:]:
        ranks.append(evaluation.number(argument, at_ms))
        _check_rank(evaluation, ranks[-1], argument.span.start)
    position = unwrap(node.arguments[0]).span.start
    elements = []
    for element, source in _grouped(evaluation, node.arguments[0], at_ms):
        for rank in ranks:
            value = _quantile(evaluation, element, source, rank, position)
            labels = element.labels.merge({label: open_metrics_float(rank)})
            elements.append(replace(element, labels=labels, value=value))
    return evaluation.renamed(elements)


def open_metrics_float(value: float) -> str:
    """A number as OpenMetrics writes bounds and quantiles: whole ones with `.0`."""
    text = format_number(value)
    return text if "." in text or not math.isfinite(value) else f"{text}.0"


def _histogram_fraction(evaluation: Evaluation, node: Call, at_ms: int) -> list[Element]:
    lower, upper = (evaluation.number(argument, at_ms) for argument in node.arguments[:2])
    position = unwrap(node.arguments[2]).span.start
    elements = []
    for element, source in _grouped(evaluation, node.arguments[2], at_ms):
        if isinstance(source, Histogram):
            value = native_fraction(lower, upper, source)
            if has_nan_observations(source):
                evaluation.notices.inform(NAN_FRACTION.format(element.labels.metric_name), position)
        else:
            value = classic_fraction(lower, upper, source)
        elements.append(replace(element, value=value))
    return evaluation.renamed(elements)


HISTOGRAM_FUNCTIONS: Final[dict[str, Callable[[Evaluation, Call, int], Result]]] = {
    "histogram_avg": _field(_mean, needs_buckets=False),
    "histogram_count": _field(lambda histogram: histogram.count, needs_buckets=False),
    "histogram_sum": _field(lambda histogram: histogram.sum, needs_buckets=False),
    "histogram_stddev": _field(lambda histogram: math.sqrt(native_variance(histogram)), needs_buckets=True),
    "histogram_stdvar": _field(native_variance, needs_buckets=True),
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
}
