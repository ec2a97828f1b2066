import numpy as np
from numpy.typing import NDArray

class HistogramDecoder:
    def __init__(self) -> None: ...
    def decode(
        self, body: bytes, places: NDArray[np.int64]
    ) -> tuple[
        list[bytes],
        NDArray[np.int32],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.uint8],
        NDArray[np.bool_],
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.bool_],
    ]: ...
