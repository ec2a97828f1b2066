"""A result as an Apache Arrow table: a row a point, dictionaries for labels, no Python object a series.

Columns: `timestamp` (milliseconds, UTC), `value`, with native histograms `histogram` (as text; `value` is null there), then one
for each label name in the order of names, null where a series has no such label. A label that is called as one of the first
columns becomes `label_timestamp`, `label_value`, `label_histogram`.
pyarrow is imported when a table is asked for: the extra `nunchi[arrow]`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.errors import WorldError
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.operators import tables
from nunchi.query.operators.histogram_text import describe_histogram
from nunchi.query.rendering import result_type
from nunchi.query.values import Matrix, Samples, Scalar, String, Value, Vector

if TYPE_CHECKING:
    import pyarrow as pa

OWN_COLUMNS = ("timestamp", "value", "histogram")
Points = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], HistogramGrid | None]


class ArrowMissing(WorldError):  # noqa: N818 (what is the matter, in one word)
    """pyarrow is not installed."""


def load_arrow() -> Any:
    """The pyarrow module; raises `ArrowMissing`."""
    try:
        import pyarrow as pa
    except ImportError:
        raise ArrowMissing("Arrow needs pyarrow: pip install 'nunchi[arrow]'") from None
    return pa


def arrow_table(value: Value, notices: Mapping[str, str] | None = None) -> "pa.Table":
    """The table of a value. The schema's metadata has the `resultType` and any notices, a line each."""
    arrow = load_arrow()
    metadata = {"resultType": result_type(value), **{name: text for name, text in (notices or {}).items() if text}}
    if isinstance(value, Scalar | String):
        stamps = np.array([value.timestamp_ms], np.int64)
        columns = {"timestamp": _times(arrow, stamps), "value": arrow.array([value.value])}
        return arrow.table(columns).replace_schema_metadata(metadata)
    times, values, series, histograms = _points(value)
    columns = {"timestamp": _times(arrow, times)}
    if histograms is None or not histograms.mask.any():
        columns["value"] = arrow.array(values)
    else:
        texts = [describe_histogram(histograms.histogram(int(row))) for row in np.flatnonzero(histograms.mask)]
        places = np.cumsum(histograms.mask) - 1
        columns["value"] = arrow.array(values, mask=histograms.mask)
        columns["histogram"] = arrow.array(texts, arrow.string()).take(arrow.array(places, mask=~histograms.mask))
    for name, labels in _label_columns(arrow, value.labels, series):
        columns[f"label_{name}" if name in OWN_COLUMNS else name] = labels
    return arrow.table(columns).replace_schema_metadata(metadata)


def arrow_stream(value: Value, notices: Mapping[str, str] | None = None) -> bytes:
    """The table in Arrow's IPC streaming format."""
    table = arrow_table(value, notices)
    arrow = load_arrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _times(arrow: Any, times: NDArray[np.int64]) -> Any:
    return arrow.array(times, arrow.timestamp("ms", "UTC"))


def _points(value: Vector | Matrix | Samples) -> Points:
    """Times, values, series and histograms of all points, series after series."""
    match value:
        case Vector():
            count = len(value)
            times = np.full(count, value.timestamp_ms, np.int64)
            return times, value.values, np.arange(count, dtype=np.int64), value.histograms
        case Matrix():
            series, steps = np.nonzero(value.present)
            grid = value.histograms
            cells = None if grid is None else HistogramGrid(grid.numbers[series, steps], grid.columns)
            return value.times[steps], value.values[series, steps], series, cells
        case Samples():
            counts = np.diff(value.offsets)
            return (
                value.times,
                value.values,
                np.repeat(np.arange(len(counts), dtype=np.int64), counts),
                value.histograms,
            )


def _label_columns(arrow: Any, table: LabelTable, series: NDArray[np.int64]) -> list[tuple[str, Any]]:
    """Per label name, sorted: its values at all points as a dictionary array."""
    names = tables.texts(table.symbols, tables.used(table.names))
    columns = []
    for name in sorted(names):
        symbols = tables.column(table, name)
        distinct, codes = np.unique(symbols, return_inverse=True)
        words = tables.texts(table.symbols, distinct)
        indices = arrow.array(codes.astype(np.int32)[series], mask=(symbols == 0)[series])
        columns.append((name, arrow.DictionaryArray.from_arrays(indices, arrow.array(words, arrow.string()))))
    return columns
