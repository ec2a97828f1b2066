"""Both grammars of matchers, and which one counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.notify.errors import MatcherError
from nunchi.notify.matchers import format_matcher, make_matcher, parse_matchers

READ = [
    ('foo="bar"', [("foo", "=", "bar")]),
    ("foo=bar", [("foo", "=", "bar")]),
    ('{foo!="bar", baz=~"x|y"}', [("foo", "!=", "bar"), ("baz", "=~", "x|y")]),
    ("{foo=bar,}", [("foo", "=", "bar")]),
    ('"my name"!~"a b"', [("my name", "!~", "a b")]),
    ("é=ü", [("é", "=", "ü")]),
    ('foo="a\\"b\\n"', [("foo", "=", 'a"b\n')]),
    ("foo=", [("foo", "=", "")]),
    ("foo=bar baz", [("foo", "=", "bar baz")]),
    ('foo="a,b",c=d', [("foo", "=", "a,b"), ("c", "=", "d")]),
    ("foo=bar\\dbaz", [("foo", "=", "bar\\dbaz")]),
    ('foo="\\d"', [("foo", "=", "\\d")]),
    ("", []),
    ("{}", []),
]
REFUSED = ["foo", "{foo", "foo=~(", 'foo="bar', "=x", 'a=b"c', '"x"']


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_is_read(text, expected):
    assert [(one.name, one.operator.value, one.value) for one in parse_matchers(text)] == expected


@pytest.mark.parametrize("text", REFUSED)
def test_is_refused(text):
    with pytest.raises(MatcherError):
        parse_matchers(text)


def test_regular_expressions_are_anchored_and_do_not_cross_lines():
    matcher = make_matcher("a", "=~", "x.y|z")
    assert [matcher.matches(text) for text in ("x-y", "z", "zz", "x\ny")] == [True, True, False, False]


@given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.text())
def test_what_is_written_is_read_back(name, value):
    try:
        name.encode(), value.encode()
    except UnicodeEncodeError:
        return
    [again] = parse_matchers(format_matcher(make_matcher(name, "=", value)))
    assert (again.name, again.value) == (name, value)
