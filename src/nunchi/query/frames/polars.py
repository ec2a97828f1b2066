"""A result as a Polars DataFrame, labels as categories. Polars is the extra `nunchi[polars]`; columns: see `columns`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from nunchi.query.frames.columns import ABSENT, Columns, FramesMissing
from nunchi.query.values import Value

if TYPE_CHECKING:
    import polars as pl


def polars_frame(value: Value) -> "pl.DataFrame":
    """The frame of a value. Raises `FramesMissing`."""
    try:
        import polars as pl
    except ImportError:
        raise FramesMissing("polars", "polars") from None
    columns = Columns.of(value)
    times = pl.Series(columns.times).cast(pl.Datetime("ms", "UTC"))
    found: dict[str, Any] = {"timestamp": times, "value": pl.Series(columns.values)}
    if columns.histograms is not None:
        places = columns.histograms
        found["value"] = pl.select(pl.when(pl.Series(places == ABSENT)).then(pl.Series(columns.values))).to_series()
        found["histogram"] = pl.Series(columns.texts, dtype=pl.String).gather(_places(pl, places))
    for label in columns.labels:
        words = pl.Series(label.words, dtype=pl.String).cast(pl.Categorical)
        found[label.name] = words.gather(_places(pl, label.codes))
    return pl.DataFrame(found)


def _places(pl: Any, codes: "np.ndarray[Any, np.dtype[Any]]") -> Any:
    """Codes as indices, null where there is none."""
    return pl.select(pl.when(pl.Series(codes != ABSENT)).then(pl.Series(np.maximum(codes, 0)))).to_series()
