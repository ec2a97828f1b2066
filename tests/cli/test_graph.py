"""Lines of Braille letters."""

import pytest

from nunchi.cli.graph import draw


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1_795_235_000.0, 1_795_235_300.0), (1e-9, 2e-9), (5.0, 5.0)])
def test_every_row_of_the_scale_reads_otherwise(low: float, high: float) -> None:
    drawn = draw({"a": [(0, low), (60, high)]}, 0, 60, 80, 16, is_coloured=False).splitlines()
    numbers = [float(line.split()[0]) for line in drawn[:16]]
    assert numbers == sorted(set(numbers), reverse=True)
    assert numbers[0] >= high * (1 - 1e-9)


def test_numbers_that_stay_apart_with_few_digits_have_no_more() -> None:
    drawn = draw({"a": [(0, 0), (60, 1)]}, 0, 60, 80, 16, is_coloured=False).splitlines()
    assert drawn[1].split()[0] == "0.9333"
