from numpy import float64, int32, int64, uint8
from numpy.typing import NDArray

FUNCTIONS: dict[str, int]

def evaluate(
    code: int,
    is_smoothed: bool,
    vector_of: NDArray[int32],
    vectors: NDArray[int64],
    vector_offsets: NDArray[int64],
    cells: NDArray[float64],
    offsets: NDArray[int64],
    rows: NDArray[int64],
    references: NDArray[int64],
    range_ms: int,
    lookback_ms: int,
    values: NDArray[float64],
    present: NDArray[uint8],
) -> int: ...
def select_smoothed(
    vector_of: NDArray[int32],
    vectors: NDArray[int64],
    vector_offsets: NDArray[int64],
    cells: NDArray[float64],
    offsets: NDArray[int64],
    rows: NDArray[int64],
    references: NDArray[int64],
    lookback_ms: int,
    values: NDArray[float64],
    present: NDArray[uint8],
) -> int: ...
