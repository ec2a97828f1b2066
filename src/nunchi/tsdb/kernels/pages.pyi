from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def decode_some(
    bodies: Sequence[NDArray[np.uint8]],
    firsts: NDArray[np.int64],
    wanted: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    targets: NDArray[np.int64],
    values: NDArray[np.float64],
    threads: int = 1,
) -> tuple[int, str]: ...
