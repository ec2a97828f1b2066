"""What a Python program gets for a question: a value, what PromQL remarked, and the value as arrays and tables.

Invariant: a library is imported when its kind of table is asked for, never before.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nunchi.query.frames.arrow import arrow_table
from nunchi.query.frames.pandas import pandas_frame
from nunchi.query.frames.polars import polars_frame
from nunchi.query.rendering import result_type
from nunchi.query.values import Matrix, QueryResult, Samples, Scalar, String, Value

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A result. Tables have a row a point: `timestamp`, `value`, and a column for each label name."""

    value: Value
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: QueryResult) -> "Answer":
        """What an engine answered."""
        return cls(result.value, tuple(result.warnings), tuple(result.infos))

    def __len__(self) -> int:
        """How many series; a scalar and a string are one."""
        return 1 if isinstance(self.value, Scalar | String) else len(self.value)

    def __repr__(self) -> str:
        return f"<{self.kind} of {len(self)} series>"

    @property
    def kind(self) -> str:
        """`scalar`, `string`, `vector` or `matrix`."""
        return result_type(self.value)

    @property
    def labels(self) -> list[dict[str, str]]:
        """The label set of each series, in the order of `to_numpy`."""
        if isinstance(self.value, Scalar | String):
            return [{}]
        return [dict(self.value.labels.labels(row)) for row in range(len(self.value))]

    @property
    def times(self) -> NDArray[np.int64]:
        """Milliseconds: of the steps of a range query, of all samples of `x[5m]`, else the one time of evaluation."""
        if isinstance(self.value, Matrix | Samples):
            return self.value.times
        return np.array([self.value.timestamp_ms], np.int64)

    def to_numpy(self) -> NDArray[Any]:
        """float64[series], float64[series, steps] of a range query with NaN where nothing is, float64[samples] of `x[5m]`."""
        return self.value.to_numpy()

    def to_arrow(self) -> "pa.Table":
        """Labels as dictionaries. Needs pyarrow: raises `FramesMissing` without."""
        notices = {"warnings": "\n".join(self.warnings), "infos": "\n".join(self.infos)}
        return arrow_table(self.value, notices)

    def to_pandas(self) -> "pd.DataFrame":
        """Labels as categories. Needs pandas: raises `FramesMissing` without."""
        return pandas_frame(self.value)

    def to_polars(self) -> "pl.DataFrame":
        """Labels as categories. Needs Polars: raises `FramesMissing` without."""
        return polars_frame(self.value)
