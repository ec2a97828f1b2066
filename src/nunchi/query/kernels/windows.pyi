from numpy import float64, int32, int64, uint8
from numpy.typing import NDArray

FUNCTIONS: dict[str, int]

def evaluate(
    code: int,
    vector_of: NDArray[int32],
    vectors: NDArray[int64],
    vector_offsets: NDArray[int64],
    cells: NDArray[float64],
    offsets: NDArray[int64],
    rows: NDArray[int64],
    references: NDArray[int64],
    now: NDArray[int64],
    range_ms: int,
    first: NDArray[float64],
    second: NDArray[float64],
    values: NDArray[float64],
    present: NDArray[uint8],
    threads: int = 1,
) -> int: ...
