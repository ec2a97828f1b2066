from numpy import float64, int32, int64, uint8
from numpy.typing import NDArray

def format_number(value: float, plain: bool = False) -> str: ...
def labels_json(
    names: NDArray[int32],
    label_values: NDArray[int32],
    offsets: NDArray[int64],
    arena: bytes,
    texts: NDArray[int64],
) -> bytes: ...
def vector_json(
    names: NDArray[int32],
    label_values: NDArray[int32],
    offsets: NDArray[int64],
    arena: bytes,
    texts: NDArray[int64],
    values: NDArray[float64],
    timestamp_ms: int,
) -> bytes: ...
def matrix_json(
    names: NDArray[int32],
    label_values: NDArray[int32],
    offsets: NDArray[int64],
    arena: bytes,
    texts: NDArray[int64],
    times: NDArray[int64],
    values: NDArray[float64],
    present: NDArray[uint8],
    threads: int = 1,
) -> bytes: ...
def samples_json(
    names: NDArray[int32],
    label_values: NDArray[int32],
    offsets: NDArray[int64],
    arena: bytes,
    texts: NDArray[int64],
    sample_offsets: NDArray[int64],
    times: NDArray[int64],
    values: NDArray[float64],
) -> bytes: ...
