"""A result as a pandas DataFrame, labels as categories. pandas is the extra `nunchi[pandas]`; columns: see `columns`."""

from typing import TYPE_CHECKING, Any

from nunchi.query.frames.columns import ABSENT, Columns, FramesMissing
from nunchi.query.values import Value

if TYPE_CHECKING:
    import pandas as pd


def pandas_frame(value: Value) -> "pd.DataFrame":
    """The frame of a value; `attrs` has the `resultType`. Raises `FramesMissing`."""
    try:
        import pandas as pd
    except ImportError:
        raise FramesMissing("pandas", "pandas") from None
    columns = Columns.of(value)
    found: dict[str, Any] = {"timestamp": pd.DatetimeIndex(columns.times.view("M8[ms]")).tz_localize("UTC")}
    found["value"] = columns.values
    if columns.histograms is not None:
        found["histogram"] = [
            None if place == ABSENT else columns.texts[place] for place in columns.histograms.tolist()
        ]
    for label in columns.labels:
        found[label.name] = pd.Categorical.from_codes(label.codes, label.words)
    frame = pd.DataFrame(found)
    frame.attrs["resultType"] = columns.kind
    return frame
