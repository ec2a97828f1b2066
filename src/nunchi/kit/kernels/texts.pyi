from numpy import int32, int64
from numpy.typing import NDArray

def rank(data: bytes, offsets: NDArray[int64], ranks: NDArray[int32]) -> None: ...
