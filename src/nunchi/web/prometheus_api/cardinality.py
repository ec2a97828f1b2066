"""What the series of a store are spent on: the largest metric names, labels and pairs, counted over a label table."""

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.symbols import LabelTable
from nunchi.storage.contracts import Querier
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN

CARDINALITY_ROWS_DEFAULT = 10
CARDINALITY_ROWS_MAX = 10_000
Rows = list[dict[str, object]]


def cardinality(querier: Querier, rows: int) -> tuple[dict[str, Rows], int]:
    """The four tables of `status/tsdb`, at most `rows` each, largest first; and how many distinct pairs there are."""
    selection = querier.select([Matcher(METRIC_NAME, MatchOperator.NOT_EQUAL, "")], TIME_MS_MIN, TIME_MS_MAX)
    try:
        return _tables(selection.labels, rows)
    finally:
        selection.close()


def _tables(table: LabelTable, rows: int) -> tuple[dict[str, Rows], int]:
    text = table.symbols.text
    codes = table.names.astype(np.int64) << 32 | table.values
    pairs, series = np.unique(codes, return_counts=True)
    names, values = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int64)
    by_name, values_of_name = np.unique(names, return_counts=True)
    sizes = np.fromiter((len(text(value).encode()) for value in values.tolist()), np.int64, len(values))
    bytes_of_name = np.array([int(sizes[names == name].sum()) for name in by_name.tolist()], np.int64)
    is_metric = names == (table.symbols.find(METRIC_NAME) or -1)
    pair_texts = [f"{text(name)}={text(value)}" for name, value in zip(names.tolist(), values.tolist(), strict=True)]
    label_names = [text(name) for name in by_name.tolist()]
    metric_names = [text(value) for value in values[is_metric].tolist()]
    return {
        "seriesCountByMetricName": _largest(metric_names, series[is_metric], rows),
        "labelValueCountByLabelName": _largest(label_names, values_of_name, rows),
        "memoryInBytesByLabelName": _largest(label_names, bytes_of_name, rows),
        "seriesCountByLabelValuePair": _largest(pair_texts, series, rows),
    }, len(pairs)


def _largest(names: list[str], counts: NDArray[np.int64], rows: int) -> Rows:
    order = np.argsort(-counts, kind="stable")[:rows]
    return [{"name": names[row], "value": int(counts[row])} for row in order.tolist()]
