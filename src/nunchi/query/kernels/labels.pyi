from typing import TypeAlias

from numpy import int32, int64
from numpy.typing import NDArray

LEAVE: int

Rows: TypeAlias = tuple[NDArray[int32], NDArray[int32], NDArray[int64]]

def select_pairs(
    names: NDArray[int32], values: NDArray[int32], offsets: NDArray[int64], listed: NDArray[int32], keep: bool
) -> Rows: ...
def group_rows(
    names: NDArray[int32], values: NDArray[int32], offsets: NDArray[int64]
) -> tuple[NDArray[int64], NDArray[int64]]: ...
def column(names: NDArray[int32], values: NDArray[int32], offsets: NDArray[int64], name: int) -> NDArray[int32]: ...
def set_label(
    names: NDArray[int32],
    values: NDArray[int32],
    offsets: NDArray[int64],
    name: int,
    changes: NDArray[int32],
    before: NDArray[int32],
) -> Rows: ...
def sort_rows(
    names: NDArray[int32], values: NDArray[int32], offsets: NDArray[int64], ranks: NDArray[int32], low: int
) -> NDArray[int64]: ...
