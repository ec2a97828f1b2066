from numpy import float64, int64, uint8
from numpy.typing import NDArray

def evaluate(
    values: NDArray[float64],
    present: NDArray[uint8],
    order: NDArray[int64],
    begins: NDArray[int64],
    upper_bounds: NDArray[float64],
    is_quantile: bool,
    first: NDArray[float64],
    second: NDArray[float64],
    result: NDArray[float64],
    seen: NDArray[uint8],
) -> dict[int, tuple[int, int, int, float, float, float]]: ...
