import numpy as np
from numpy.typing import NDArray

def encode(
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    digits: NDArray[np.uint8],
    orders: NDArray[np.uint8],
    words: NDArray[np.uint64],
) -> tuple[list[int], list[int]]: ...
def decode(
    words: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    digits: NDArray[np.uint8],
    orders: NDArray[np.uint8],
    positions: NDArray[np.int64],
    exceptions: NDArray[np.uint64],
    values: NDArray[np.float64],
) -> None: ...
def shuffle(words: NDArray[np.uint64], out: NDArray[np.uint8]) -> int: ...
def unshuffle(shuffled: NDArray[np.uint8], planes: int, words: NDArray[np.uint64]) -> None: ...
