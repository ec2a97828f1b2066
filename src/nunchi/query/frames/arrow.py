"""A result as an Apache Arrow table, labels as dictionaries. pyarrow is the extra `nunchi[arrow]`; columns: see `columns`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nunchi.query.frames.columns import ABSENT, Columns, FramesMissing
from nunchi.query.values import Value

if TYPE_CHECKING:
    import pyarrow as pa


def load_arrow() -> Any:
    """The pyarrow module; raises `FramesMissing`."""
    try:
        import pyarrow as pa
    except ImportError:
        raise FramesMissing("pyarrow", "arrow") from None
    return pa


def arrow_table(value: Value, notices: Mapping[str, str] | None = None) -> "pa.Table":
    """The table of a value. The schema's metadata has the `resultType` and any notices, a line each."""
    arrow = load_arrow()
    columns = Columns.of(value)
    found = {"timestamp": arrow.array(columns.times, arrow.timestamp("ms", "UTC"))}
    if columns.histograms is None:
        found["value"] = arrow.array(columns.values)
    else:
        is_histogram = columns.histograms != ABSENT
        places = arrow.array(np.maximum(columns.histograms, 0), mask=~is_histogram)
        found["value"] = arrow.array(columns.values, mask=is_histogram)
        found["histogram"] = arrow.array(columns.texts, arrow.string()).take(places)
    for label in columns.labels:
        codes = arrow.array(label.codes, mask=label.codes == ABSENT)
        found[label.name] = arrow.DictionaryArray.from_arrays(codes, arrow.array(label.words, arrow.string()))
    metadata = {"resultType": columns.kind, **{name: text for name, text in (notices or {}).items() if text}}
    return arrow.table(found).replace_schema_metadata(metadata)


def arrow_stream(value: Value, notices: Mapping[str, str] | None = None) -> bytes:
    """The table in Arrow's IPC streaming format."""
    table = arrow_table(value, notices)
    arrow = load_arrow()
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body
