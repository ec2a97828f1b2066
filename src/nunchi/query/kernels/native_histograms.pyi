from numpy import float64, int32, int64, uint8
from numpy.typing import NDArray

def sums(matrix: NDArray[float64], begins: NDArray[int64], ends: NDArray[int64], result: NDArray[float64]) -> None: ...
def evaluate(
    numbers: NDArray[int32],
    shape_of: NDArray[int32],
    counts: NDArray[float64],
    totals: NDArray[float64],
    zero_counts: NDArray[float64],
    offsets: NDArray[int64],
    bucket_counts: NDArray[float64],
    bounds_begin: NDArray[int64],
    positive_widths: NDArray[int64],
    negative_widths: NDArray[int64],
    thresholds: NDArray[float64],
    are_custom: NDArray[uint8],
    lowers: NDArray[float64],
    uppers: NDArray[float64],
    is_quantile: bool,
    first: NDArray[float64],
    second: NDArray[float64],
    result: NDArray[float64],
) -> None: ...
