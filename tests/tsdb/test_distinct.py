"""Marking finds the same distinct numbers as sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.tsdb.distinct import distinct


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(31, 200))
def test_distinct_numbers_and_their_places_are_those_that_sorting_finds(numbers: list[int], bound: int) -> None:
    array = np.array(numbers, np.int32)
    used, places = distinct(array, bound)
    wanted, inverse = np.unique(array, return_inverse=True)
    assert used.tolist() == wanted.tolist()
    assert places.tolist() == inverse.tolist()
