"""`histogram_quantile` and `histogram_fraction` over classic buckets, series that differ only in their upper bound `le`; what
is native among them is `native_buckets`' concern.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable
from nunchi.query.kernels import buckets
from nunchi.query.operators import tables
from nunchi.query.operators.go_format import format_shortest
from nunchi.query.operators.native_buckets import NativeBuckets
from nunchi.query.operators.operator import Block, Kept, Scope, VectorOperator, collect
from nunchi.query.operators.parameters import remark_quantiles
from nunchi.query.plan import nodes as plan
from nunchi.query.remarks import BAD_BUCKET

BOUND = "le"


def parse_bound(text: str) -> float | None:
    """An upper bound, None where the text is no number."""
    try:
        return float(text) if "_" not in text and text.strip() == text else None
    except ValueError:
        return None


class BucketFunction(Kept):
    """One result per histogram: its quantiles, or the fraction of observations between two values."""

    def __init__(
        self, scope: Scope, node: plan.BucketFunction, child: VectorOperator, parameters: list[NDArray[np.float64]]
    ) -> None:
        super().__init__(scope)
        self._node = node
        self._child = child
        self._parameters = parameters

    def compute(self) -> Block:
        """See `Kept.compute`."""
        everything = collect(self._child, self.scope)
        block = replace(everything, present=everything.floats, histograms=None)
        if self._node.name != "histogram_fraction":
            for parameter, entry in zip(self._parameters, self._node.parameters, strict=True):
                remark_quantiles(self.scope, entry, parameter, np.ones(self.scope.steps, np.bool_))
        bounds, usable = self._bounds(block)
        rows = np.flatnonzero(usable)
        table = block.labels.take(rows)
        ids, firsts = tables.group(tables.drop_labels(table, (BOUND,)))
        labels = tables.drop_labels(table.take(firsts), (BOUND,))
        order = np.lexsort((bounds[rows], ids))
        begins = np.searchsorted(ids[order], np.arange(len(firsts) + 1)).astype(np.int64)
        results = [
            self._evaluate(block, rows, order, begins, bounds, first, second, table)
            for first, second in self._parameter_pairs()
        ]
        if everything.histograms is not None:
            native = NativeBuckets(self.scope, self._node, everything)
            labels, results = native.beside(labels, results, self._parameter_pairs())
        return self._labelled(labels if self.scope.context.delays_names else tables.drop_metadata(labels), results)

    def _parameter_pairs(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        if self._node.name == "histogram_fraction":
            return [(self._parameters[0], self._parameters[1])]
        return [(parameter, parameter) for parameter in self._parameters]

    def _evaluate(
        self,
        block: Block,
        rows: NDArray[np.int64],
        order: NDArray[np.int64],
        begins: NDArray[np.int64],
        bounds: NDArray[np.float64],
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        table: LabelTable,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        values = np.zeros((len(begins) - 1, self.scope.steps))
        present = np.zeros(values.shape, np.bool_)
        is_quantile = self._node.name != "histogram_fraction"
        mended = buckets.evaluate(
            np.ascontiguousarray(block.values), block.present.view(np.uint8), rows[order], begins, bounds, is_quantile,
            first, second, values, present.view(np.uint8),
        )  # fmt: skip
        for histogram, (steps, first_step, last_step, least, most, apart) in mended.items():
            name = table.labels(int(order[begins[histogram]])).metric_name
            times = self.scope.times
            self.scope.context.notices.inform(
                "input to histogram_quantile needed to be fixed for monotonicity (see "
                "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) "
                f'for metric name "{name}", from buckets {format_shortest(least)} to {format_shortest(most)}, '
                f"with a max diff of {format_shortest(apart)}, over {steps} samples from {times[first_step] / 1000:.3f} "
                f"to {times[last_step] / 1000:.3f}",
                self._node.child.position,
            )
        return values, present

    def _labelled(self, labels: LabelTable, results: list[tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> Block:
        if self._node.name == "histogram_quantiles":
            named = []
            for parameter in self._parameters:
                word = format_shortest(float(parameter[0]))
                word = word if any(letter in word for letter in ".eNI") else f"{word}.0"
                symbol = labels.symbols.intern(word)
                named.append(tables.set_label(labels, self._node.label, np.full(len(labels), symbol, np.int32)))
            labels = tables.concatenate(labels.symbols, named)
        values = np.concatenate([values for values, _ in results])
        present = np.concatenate([present for _, present in results])
        drops = np.ones(len(values), np.bool_) if self.scope.context.delays_names else None
        return Block(labels, values, present, drops)

    def _bounds(self, block: Block) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """float64[series]: upper bounds, and which series have one; a remark for those that have none."""
        column = tables.column(block.labels, BOUND)
        distinct, bound_of = np.unique(column, return_inverse=True)
        words = tables.texts(block.labels.symbols, distinct)
        parsed = [parse_bound(word) for word in words]
        bounds = np.array([np.nan if bound is None else bound for bound in parsed], np.float64)[bound_of]
        usable = ~np.isnan(bounds)
        if not usable.all():
            names = tables.column(block.labels, METRIC_NAME)
            faulty = ~usable & block.present.any(axis=1)
            for word_at, name in sorted(set(zip(bound_of[faulty].tolist(), names[faulty].tolist(), strict=True))):
                self.scope.context.notices.warn(
                    BAD_BUCKET.format(words[word_at], block.labels.symbols.text(name)), self._node.child.position
                )
        return bounds, usable
