"""What an index selects is what the matcher says of each value, whichever way the values are judged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.series_group import Layout
from nunchi.tsdb.index import Index
from nunchi.tsdb.series_table import SeriesTable

VALUES = ("a", "b", "ab", "aab", "ba", "aba", "a.b", "axb", "a\nb", "é", "aé", "éa", "bab", "b.a.b", "")
TEXTS = st.sampled_from(("", "a", "b", "ab", r"a\.b", "a.b", "é", "[ab]", "(a|é)", "x|a", "a?b"))
AROUND = st.sampled_from(("", ".*", ".+", ".", ".?"))
PATTERNS = st.builds(lambda before, text, after: before + text + after, AROUND, TEXTS, AROUND)
OPERATORS = st.sampled_from(MatchOperator)


def index() -> Index:
    table = SeriesTable()
    keys, ends = Layout.of(*(Labels.of("m", v=value, n=str(n)) for n, value in enumerate(VALUES))).keys_from(0)
    table.intern(np.frombuffer(keys, np.uint8), np.frombuffer(ends, np.int64))
    return table.snapshot()


@given(PATTERNS, OPERATORS)
def test_values_are_judged_as_the_matcher_judges_them(pattern: str, operator: MatchOperator):
    matcher = Matcher("v", operator, pattern)
    wanted = [number for number, value in enumerate(VALUES) if matcher.matches(value)]
    assert sorted(index().select([matcher]).tolist()) == wanted
