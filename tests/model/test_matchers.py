import pytest

from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator, RegexError, all_match, compile_regex


def matcher(text_operator: str, value: str, name: str = "a") -> Matcher:
    return Matcher(name, MatchOperator(text_operator), value)


@pytest.mark.parametrize(
    ("operator", "pattern", "value", "expected"),
    [
        ("=", "x", "x", True),
        ("=", "", "", True),
        ("!=", "x", "", True),
        ("!=", "x", "x", False),
        ("=~", "x.z", "x\nz", True),
        ("=~", "x", "xx", False),
        ("=~", "x|y", "y", True),
        ("=~", "(?i)X", "x", True),
        ("=~", ".*", "", True),
        ("=~", ".+", "", False),
        ("!~", "x|y", "z", True),
        ("!~", ".+", "", True),
        ("=~", "x$", "x\n", False),
    ],
)
def test_a_matcher_compares_whole_values(operator: str, pattern: str, value: str, expected: bool) -> None:
    assert matcher(operator, pattern).matches(value) is expected


@pytest.mark.parametrize("pattern", ["(", ")(", "(?=x)", "\\1", "a**", "[b-a]"])
def test_what_re2_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(RegexError, match="regular expression"):
        compile_regex(pattern)


def test_an_absent_label_reads_as_empty() -> None:
    labels = Labels.of("m", a="1")
    assert all_match([matcher("=", "1"), matcher("=", "", "b"), matcher("!=", "x", "b")], labels)
    assert not all_match([matcher("=~", ".+", "b")], labels)
    assert matcher("=~", ".*").matches_empty()


def test_matchers_are_equal_by_what_they_say() -> None:
    assert matcher("=~", "x") == matcher("=~", "x")
    assert len({matcher("=", "x"), matcher("=", "x"), matcher("!=", "x")}) == 2
    assert str(matcher("!~", 'a"b')) == 'a!~"a\\"b"'
