import numpy as np
from numpy.typing import NDArray

def scan_series(
    data: NDArray[np.uint8], begin: int, end: int, alignment: int
) -> tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]: ...
def decode_samples(record: NDArray[np.uint8] | memoryview | bytes) -> tuple[bytes, bytes, bytes] | None: ...
