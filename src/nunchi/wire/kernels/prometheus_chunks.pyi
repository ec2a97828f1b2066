import numpy as np
from numpy.typing import NDArray

def crc32c(data: NDArray[np.uint8] | memoryview | bytes) -> int: ...
def check_chunks(
    data: NDArray[np.uint8], begins: NDArray[np.int64], sizes: NDArray[np.int64], good: NDArray[np.uint8]
) -> None: ...
def locate_chunks(
    data: NDArray[np.uint8], places: NDArray[np.int64], begins: NDArray[np.int64], sizes: NDArray[np.int64]
) -> None: ...
def chunk_counts(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64], counts: NDArray[np.int64]
) -> None: ...
def decode_xor(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    good: NDArray[np.uint8],
) -> None: ...
def decode_histograms(
    chunk: NDArray[np.uint8], is_float: bool
) -> tuple[int, float, bytes, int, bytes, bytes, bytes, bytes, bytes, bytes, int] | None: ...
