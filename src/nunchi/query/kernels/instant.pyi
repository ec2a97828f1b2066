from numpy import float64, int32, int64, uint8
from numpy.typing import NDArray

def select_instant(
    vector_of: NDArray[int32],
    vectors: NDArray[int64],
    vector_offsets: NDArray[int64],
    cells: NDArray[float64],
    offsets: NDArray[int64],
    rows: NDArray[int64],
    references: NDArray[int64],
    lookback_ms: int,
    want_times: bool,
    values: NDArray[float64],
    present: NDArray[uint8],
) -> int: ...
def gather(
    vector_of: NDArray[int32],
    vectors: NDArray[int64],
    vector_offsets: NDArray[int64],
    cells: NDArray[float64],
    offsets: NDArray[int64],
    start_ms: int,
    end_ms: int,
) -> tuple[NDArray[int64], NDArray[int64], NDArray[float64]]: ...
