"""Printed trees are read back as they were, and no text makes the parser do anything but answer or refuse."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nunchi.query.errors import ParseError
from nunchi.query.syntax import EVERYTHING, parse, pretty_print, print_node
from nunchi.query.syntax.nodes import Node
from nunchi.testing.strategies import expressions

THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

PIECES = [
    *("up", "sum", "by", "without", "on", "ignoring", "group_left", "bool", "offset", "@", "start", "end", "and", "or"),
    *("unless", "atan2", "rate", "info", "min_of", "step", "fill", "smoothed", "anchored", "inf", "nan", "5m", "1h30m"),
    *("0x1f", "0755", "1e3", "1_0", ".5", "5.", "(", ")", "[", "]", "{", "}", ",", ":", "=", "==", "!=", "=~", "!~"),
    *(
        "<",
        ">",
        "</",
        ">/",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        '"x"',
        "'y'",
        "`z`",
        '"\\',
        '"\\q"',
        "#",
        "\n",
        " ",
        "\x00",
        "é",
        "😀",
    ),
]


@THOROUGH
@given(expressions())
def test_a_printed_tree_is_read_back_as_it_was(node: Node) -> None:
    assert parse(print_node(node), EVERYTHING) == node


@THOROUGH
@given(expressions())
def test_a_tree_printed_over_several_lines_means_the_same(node: Node) -> None:
    text = pretty_print(node)
    assert print_node(parse(text, EVERYTHING)) == print_node(node), text


def outcome(text: str) -> Node | ParseError:
    """The tree or the refusal; anything else that happens fails the test."""
    try:
        return parse(text, EVERYTHING)
    except ParseError as error:
        return error


def check(text: str) -> None:
    result = outcome(text)
    if isinstance(result, ParseError):
        assert 0 <= result.position <= len(text)
        assert str(result).startswith(f"{result.line}:{result.column}: parse error: ")
    else:
        printed = print_node(result)
        assert print_node(parse(printed, EVERYTHING)) == printed


@THOROUGH
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_sequence_of_tokens_is_read_or_refused(text: str) -> None:
    check(text)


@THOROUGH
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text)


@THOROUGH
@given(expressions(), st.data())
def test_a_valid_text_with_a_hole_is_read_or_refused(node: Node, data: st.DataObject) -> None:
    text = print_node(node)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    check(text[:start] + text[end:])
