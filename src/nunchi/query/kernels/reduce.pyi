from numpy import float64, int64, uint8
from numpy.typing import NDArray

def fold_sum(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    total: NDArray[float64],
    rest: NDArray[float64],
    seen: NDArray[uint8],
) -> None: ...
def fold_avg(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    total: NDArray[float64],
    rest: NDArray[float64],
    count: NDArray[float64],
    incremental: NDArray[uint8],
) -> None: ...
def fold_min(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    least: NDArray[float64],
    seen: NDArray[uint8],
) -> None: ...
def fold_max(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    most: NDArray[float64],
    seen: NDArray[uint8],
) -> None: ...
def fold_count(present: NDArray[uint8], groups: NDArray[int64], count: NDArray[float64]) -> None: ...
def fold_any(present: NDArray[uint8], groups: NDArray[int64], seen: NDArray[uint8]) -> None: ...
def fold_deviation(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    mean: NDArray[float64],
    squares: NDArray[float64],
    count: NDArray[float64],
) -> None: ...
def quantiles(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    q: NDArray[float64],
    result: NDArray[float64],
    seen: NDArray[uint8],
) -> None: ...
def rank(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    group_count: int,
    k: NDArray[int64],
    top: bool,
    chosen: NDArray[uint8],
) -> None: ...
def count_keys(
    keys: NDArray[int64], present: NDArray[uint8], groups: NDArray[int64]
) -> tuple[NDArray[int64], NDArray[int64], NDArray[int64], NDArray[int64], NDArray[float64]]: ...
def first_rows(
    present: NDArray[uint8],
    groups: NDArray[int64],
    group_count: int,
    k: NDArray[int64],
    chosen: NDArray[uint8],
) -> None: ...
def merge(
    values: NDArray[float64],
    present: NDArray[uint8],
    groups: NDArray[int64],
    relevant: NDArray[uint8],
    result: NDArray[float64],
    seen: NDArray[uint8],
) -> int: ...
def take_present(
    values: NDArray[float64],
    present: NDArray[uint8],
    rows: NDArray[int64],
    taken: NDArray[float64],
    seen: NDArray[uint8],
) -> None: ...
