import numpy as np
import pytest

from nunchi.model.staleness import ABSENT, STALE
from nunchi.query.kernels import windows

ROWS, CELLS, STEPS = 700, 240, 60


def evaluated(name: str, cells: np.ndarray, threads: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Windows of five minutes over samples every 15 s, of rows that take turns with two vectors of timestamps."""
    times = np.arange(CELLS, dtype=np.int64) * 15_000
    references = np.arange(STEPS, dtype=np.int64) * 60_000
    values, present = np.empty((ROWS, STEPS)), np.empty((ROWS, STEPS), np.uint8)
    parameters = np.full(STEPS, 0.5)
    held = windows.evaluate(
        windows.FUNCTIONS[name], np.arange(ROWS, dtype=np.int32) // 50 % 2, np.concatenate([times, times + 3_700]),
        np.array([0, CELLS, 2 * CELLS], np.int64), cells.reshape(-1), np.arange(ROWS + 1, dtype=np.int64) * CELLS,
        np.arange(ROWS, dtype=np.int64), references, references, 300_000, parameters, parameters, values, present, threads,
    )  # fmt: skip
    return held, np.where(present, values, 0), present


def odd_cells() -> np.ndarray:
    """Counters near zero and far above it, with resets, gaps, markers and NaN."""
    random = np.random.default_rng(4)
    cells = np.cumsum(random.integers(0, 9, (ROWS, CELLS)), axis=1) + random.choice([0, 1e9], (ROWS, 1))
    cells[::7] = np.where(random.random((ROWS, CELLS)) < 0.03, 0.0, cells)[::7]
    for marker in (ABSENT, STALE, np.nan):
        cells[::5] = np.where(random.random((ROWS, CELLS)) < 0.02, marker, cells)[::5]
    return cells


@pytest.mark.parametrize("name", windows.FUNCTIONS)
def test_windows_are_the_same_in_any_number_of_threads(name: str):
    cells = odd_cells()
    held, values, present = evaluated(name, cells, 1)
    for threads in (2, 5):
        other_held, other_values, other_present = evaluated(name, cells, threads)
        assert held == other_held
        assert np.array_equal(present, other_present)
        assert np.array_equal(values, other_values, equal_nan=True)


@pytest.mark.parametrize("name", ["rate", "increase", "delta"])
def test_what_rows_share_of_extrapolation_changes_no_row(name: str):
    """A row after others of its vector is evaluated as it is alone, with a gap far outside of all windows."""
    cells = odd_cells()
    cells[::5] = np.abs(np.nan_to_num(cells[::5]))
    _, together, _ = evaluated(name, cells, 1)
    cells[:, -1] = ABSENT
    _, apart, _ = evaluated(name, cells, 1)
    assert np.array_equal(together[:, :-1], apart[:, :-1], equal_nan=True)
