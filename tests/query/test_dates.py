"""Dates of any number: those that a Prometheus 2.53 on x86-64 printed, NaN and what no calendar knows included."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.query.engine import Engine
from nunchi.query.operators.dates import DATES, date_part
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.scalar_engine.engine import ScalarEngine
from nunchi.testing.scalar_engine.store import ScalarStore

PARTS = ("year", "month", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute")
WRAPPED = (292277026596, 12, 4, 0, 339, 31, 15, 30)
PRINTED = {
    math.nan: WRAPPED,
    math.inf: WRAPPED,
    -math.inf: WRAPPED,
    1e19: WRAPPED,
    -1e19: WRAPPED,
    1e12: (33658, 9, 27, 5, 270, 30, 1, 46),
    -1e12: (-29719, 4, 5, 2, 95, 30, 22, 13),
    1e15: (31690708, 7, 5, 0, 187, 31, 1, 46),
    9.2e18: (291536396232, 8, 31, 5, 244, 31, 11, 33),
    -9.2e18: (-291536392293, 5, 3, 2, 123, 31, 12, 26),
    9.2233720368547e18: (292277026596, 12, 3, 6, 338, 31, 18, 27),
    253402300800.0: (10000, 1, 1, 6, 1, 31, 0, 0),
    -62135596801.0: (0, 12, 31, 0, 366, 31, 23, 59),
    -0.999: (1970, 1, 1, 4, 1, 31, 0, 0),
    -1.0: (1969, 12, 31, 3, 365, 31, 23, 59),
    -1e11: (-1199, 2, 15, 4, 46, 28, 14, 13),
}


@pytest.mark.parametrize("seconds", PRINTED)
def test_dates_are_those_that_prometheus_prints(seconds: float):
    assert tuple(int(date_part(part, np.array([seconds]))[0]) for part in PARTS) == PRINTED[seconds]


@given(st.floats(), st.sampled_from(sorted(DATES)))
def test_both_engines_agree_on_any_number(seconds: float, part: str):
    number = "NaN" if math.isnan(seconds) else f"{seconds!r}".replace("inf", "Inf")
    expression = f"{part}(vector({number}))"
    store = MemoryStore(VirtualClock())
    given_value = Engine().instant(store.querier, expression, 0).value.values[0]
    assert given_value == ScalarEngine(ScalarStore()).instant(expression, 0).series[0][1][0][1]
