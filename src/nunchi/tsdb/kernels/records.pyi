import numpy as np
from numpy.typing import NDArray

def encode_cells(
    refs: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[int, int, int, bytes]: ...
def decode_cells(
    body: bytes,
    begin: int,
    rows: int,
    cells: int,
    refs: NDArray[np.int32],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    at: int,
) -> bool: ...
