"""`nunchi.kit.backoff`."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.backoff import Backoff


@given(st.floats(0.001, 10), st.floats(1, 100), st.integers(0, 2**32))
def test_each_delay_lies_between_half_and_all_of_a_doubling_ceiling(initial: float, factor: float, seed: int) -> None:
    maximum = initial * factor
    backoff = Backoff(initial, maximum, Random(seed))
    ceiling = initial
    for _ in range(12):
        assert ceiling / 2 <= backoff.next() <= ceiling
        ceiling = min(ceiling * 2, maximum)


def test_success_begins_at_the_initial_delay_again() -> None:
    backoff = Backoff(1, 60, Random(1))
    for _ in range(8):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 1


def test_two_sources_of_chance_do_not_retry_together() -> None:
    one, other = Backoff(1, 60, Random(1)), Backoff(1, 60, Random(2))
    assert [one.next() for _ in range(5)] != [other.next() for _ in range(5)]
