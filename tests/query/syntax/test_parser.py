"""What texts mean, and what is said of those that mean nothing."""

import math

import pytest

from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.query.errors import ParseError
from nunchi.query.syntax import EVERYTHING, ParserSettings, parse, parse_labels, parse_selector, print_node
from nunchi.query.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Edge,
    Matching,
    MatrixSelector,
    NumberLiteral,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
    children,
    walk,
)
from nunchi.query.syntax.signatures import ValueType

NUMBERS = {
    "1": 1.0,
    "-1": -1.0,
    "+5": 5.0,
    "--1": 1.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1E-3": 0.001,
    "0x1f": 31.0,
    "0XFF": 255.0,
    "0755": 493.0,
    "00": 0.0,
    "08": 8.0,
    "09.5": 9.5,
    "0_7": 7.0,
    "1_000": 1000.0,
    "1_0.5_0e1_0": 10.5e10,
    "inf": math.inf,
    "-INF": -math.inf,
    "5m": 300.0,
    "1h30m": 5400.0,
    "1y2w3d4h5m6s7ms": (365 + 14 + 3) * 86400 + 4 * 3600 + 5 * 60 + 6.007,
}

STRINGS = {
    '"a"': "a",
    "'it\\'s'": "it's",
    "`raw \\n`": "raw \\n",
    "`two\nlines`": "two\nlines",
    r'"\a\b\f\n\r\t\v\\\""': '\a\b\f\n\r\t\v\\"',
    r'"\x41\101\u00e9\U0001F600"': "AAé😀",
    r'"\xc3\xa9"': "é",
}

CANONICAL = {
    "sum(x)by(b,a)": "sum by (b, a) (x)",
    "SUM BY (a) (x)": "sum by (a) (x)",
    "sum without()(x)": "sum without () (x)",
    "topk(3,x)": "topk(3, x)",
    'x{b="1",a!="2"}': 'x{a!="2",b="1"}',
    'x{a="1",}': 'x{a="1"}',
    'sum by ("INF", on) (x)': 'sum by ("INF", on) (x)',
    "{'x'}": '{__name__="x"}',
    r"label_replace(a,'b','\xff\\','c','\xc3\xa9')": r'label_replace(a, "b", "\xff\\", "c", "é")',
    "{'my.metric','a b'=~'c'}": '{"a b"=~"c",__name__="my.metric"}',
    "x{}": "x",
    "a+b*c^d": "a + b * c ^ d",
    "a==bool 1": "a == bool 1",
    "a*on(x)group_left(y)b": "a * on (x) group_left (y) b",
    "a*on(x)group_left b": "a * on (x) group_left () b",
    "a/ignoring(x)b": "a / ignoring (x) b",
    "a+on()b": "a + on () b",
    "a</1": "a </ 1",
    "a>/b": "a >/ b",
    "a+fill(0)b": "a + fill (0) b",
    "a+on(x)fill_right(-1)fill_left(1)b": "a + on (x) fill_left (1) fill_right (-1) b",
    "x[5m]offset 1m@5": "x[5m] @ 5.000 offset 1m",
    "x offset-1m": "x offset -1m",
    "x@start()": "x @ start()",
    "x @ -1.5": "x @ -1.500",
    "x[300]": "x[5m]",
    "x[1d]": "x[1d]",
    "x[7d]": "x[1w]",
    "x[90m:]": "x[1h30m:]",
    "x[5m:30s]offset 1h": "x[5m:30s] offset 1h",
    "x[5m+step()]": "x[5m + step()]",
    "x[ -( 1m - STEP() ) ]": "x[-(1m - step())]",
    "x[max_of(1m,range()*2):min_of(step(),1m)]": "x[max_of(1m, range() * 2):min_of(step(), 1m)]",
    "x offset step()*2": "x offset step() * 2",
    "x offset(step()*2)": "x offset (step() * 2)",
    "x offset -min_of(step(),1s)^0": "x offset -min_of(step(), 1s) ^ 0",
    "x smoothed offset 1m": "x smoothed offset 1m",
    "rate(x[1m]anchored)": "rate(x[1m] anchored)",
    "- - x": "--x",
    "-x^2": "-x ^ 2",
    "1 # one\n+ # and\n2": "1 + 2",
    "sum": "sum",
    "sum + sum(sum)": "sum + sum(sum)",
    "offset offset 5m": "offset offset 5m",
    "by{on='x'}": 'by{on="x"}',
    "sum by (by, on, bool, 'a b') (x)": 'sum by (by, on, bool, "a b") (x)',
    "1e300": "1" + "0" * 300,
    "1e-7": "0.0000001",
    "Inf": "+Inf",
    "nan": "NaN",
    '"a\\"\\n\\x00"': '"a\\"\\n\\x00"',
    "info(x,{a=~'.*'})": 'info(x, {a=~".*"})',
}

# Text: column, message (the beginning of it).
REFUSED = {
    "": (1, "no expression found in input"),
    "# nothing": (1, "no expression found in input"),
    "1 +": (4, "unexpected end of input"),
    "x y": (3, 'unexpected identifier "y"'),
    "(x": (3, "unclosed left parenthesis"),
    "x[5m": (5, "unclosed left bracket"),
    "x{": (3, "unexpected end of input inside braces"),
    "x)": (3, "unexpected right parenthesis ')'"),
    "x(]": (3, "unexpected right bracket ']'"),
    "x{a=1}": (5, "unexpected character inside braces: '1'"),
    "x{a}": (4, 'unexpected "}" in label matching, expected label matching operator'),
    "x{,}": (3, 'unexpected "," in label matching'),
    'x{a="1",,}': (9, 'unexpected "," in label matching'),
    'x{a="["': (8, "unexpected end of input inside braces"),
    'x{a=~"["}': (3, 'regular expression "["'),
    'x{a="\\q"}': (5, "unknown escape sequence U+0071 'q'"),
    '"\\x4g"': (1, "illegal character U+0067 'g' in escape sequence"),
    '"\\u12"': (1, "illegal character U+0022 '\"' in escape sequence"),
    '"\\ud800"': (1, "escape sequence is an invalid Unicode code point"),
    "'\\777'": (1, "escape sequence is an invalid Unicode code point"),
    '"abc': (1, "unterminated quoted string"),
    "`abc": (1, "unterminated raw string"),
    "x == 08x": (6, 'bad number or duration syntax: "08x"'),
    "1__0": (1, "bad number or duration syntax"),
    "1e999": (1, "error parsing number: 1e999 is out of range"),
    "5m1h": (1, '"5m1h" is not a duration'),
    "x ! y": (3, "unexpected character after '!': ' '"),
    "x ~ y": (3, "unexpected character: '~'"),
    '{"\\xff"="a"}': (2, "the bytes of this name are not UTF-8"),
    '{a=""}': (1, "vector selector must contain at least one non-empty matcher"),
    "{}": (1, "vector selector must contain at least one non-empty matcher"),
    'x{__name__="y"}': (1, 'metric name must not be set twice: "x" or "y"'),
    '{"x","y"}': (6, 'metric name must not be set twice: "x" or "y"'),
    "f(x)": (1, 'unknown function with name "f"'),
    "Rate(x[1m])": (1, 'unknown function with name "Rate"'),
    "rate(x)": (6, 'expected type range vector in call to function "rate", got instant vector'),
    "rate(x[1m],1)": (1, 'expected 1 argument(s) in call to "rate", got 2'),
    "round()": (1, 'expected at least 1 argument(s) in call to "round", got 0'),
    "round(x,1,2)": (1, 'expected at most 2 argument(s) in call to "round", got 3'),
    "rate(x[1m],)": (11, "trailing commas not allowed in function call args"),
    "sum()": (1, "no arguments for aggregate expression provided"),
    "sum(x,y)": (1, "wrong number of arguments for aggregate expression provided, expected 1, got 2"),
    "topk(x)": (1, "wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    "sum(1)": (5, "expected type instant vector in aggregation expression, got scalar"),
    "topk(x,x)": (6, "expected type scalar in aggregation parameter, got instant vector"),
    "sum by (a:b) (x)": (9, 'unexpected identifier "a:b" in grouping opts, expected label'),
    "1 == 2": (3, "comparisons between scalars must use BOOL modifier"),
    "1 + bool 2": (3, "bool modifier can only be used on comparison operators"),
    "x and 1": (1, 'set operator "and" not allowed in binary scalar expression'),
    "x and on(a) group_left() y": (1, 'no grouping allowed for "and" operation'),
    "x + on(a) 1": (1, "vector matching only allowed between instant vectors"),
    "x * on(a) group_left(a) y": (3, 'label "a" must not occur in ON and GROUP clause at once'),
    "x or fill(0) y": (1, "filling in missing series is not allowed for set operators"),
    "1 </ 2": (3, 'operator "</" not allowed for scalar operations'),
    "x =~ y": (3, "unexpected character after '=': '~'"),
    'x{a!"b"}': (4, "unexpected character after '!' inside braces: '\"'"),
    "x * * y": (5, "unexpected <op:*>"),
    "sum(x) by (a) by (b)": (15, "unexpected <by>"),
    "sum by (a b) (x)": (11, 'unexpected identifier "b" in grouping opts, expected "," or ")"'),
    "sum by (a) x": (12, 'unexpected identifier "x" in aggregation'),
    "x @ start": (10, "unexpected end of input in @, expected timestamp"),
    'x @ "1"': (5, 'unexpected string "\\"1\\"" in @, expected timestamp'),
    "x}": (2, "unexpected character: '}'"),
    "(x[1m])[5m:]": (1, "subquery is only allowed on instant vector, got matrix instead"),
    "x + x[1m]": (5, "binary expression must contain only scalar and instant vector types"),
    '-"x"': (1, 'unary expression only allowed on expressions of type scalar or instant vector, got "string"'),
    "x[0s]": (3, "duration must be greater than 0"),
    "x[-1s]": None,  # an expression: judged when its value is known
    "x[1m/0]": (6, "division by zero"),
    "x[1m%0]": (6, "modulo by zero"),
    "x[]": (3, 'unexpected "]" in subquery or range selector, expected number, duration, or step()'),
    "x[5m:5]:": None,
    "(x)[5m]": (4, "ranges only allowed for vector selectors"),
    "x offset 1m [5m]": (13, "no offset modifiers allowed before range"),
    "x @ 1 [5m]": (7, "no @ modifiers allowed before range"),
    "x offset 1m offset 2m": (1, "offset may not be set multiple times"),
    "x @ 1 @ 2": (1, "@ <timestamp> may not be set multiple times"),
    "1 offset 1m": (1, "offset modifier must be preceded by an instant vector selector"),
    "x @ inf": (1, "timestamp out of bounds for @ modifier"),
    "1[5m:]": (1, "subquery is only allowed on instant vector, got scalar instead"),
    "rate(x[1m] smoothed anchored)": (21, "anchored and smoothed may not be set at once"),
    "info(x, y)": (9, "expected label selectors only, got vector selector instead"),
    "x\n+\n)": (2, "unexpected right parenthesis ')'"),
    "\ud800": (1, "text is not valid Unicode"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
def test_numbers_are_read_as_go_reads_them(text: str, value: float) -> None:
    node = parse(text)
    assert isinstance(node, NumberLiteral)
    assert node.value == value


@pytest.mark.parametrize(("text", "value"), STRINGS.items())
def test_strings_are_unquoted(text: str, value: str) -> None:
    assert parse(text) == StringLiteral(value)


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_expressions_print_in_canonical_form(text: str, canonical: str) -> None:
    assert print_node(parse(text, EVERYTHING)) == canonical


@pytest.mark.parametrize(("text", "wanted"), [(text, wanted) for text, wanted in REFUSED.items() if wanted])
def test_errors_have_place_and_reason(text: str, wanted: tuple[int, str]) -> None:
    with pytest.raises(ParseError) as raised:
        parse(text, EVERYTHING)
    assert raised.value.message.startswith(wanted[1])
    assert raised.value.column == wanted[0]


def test_errors_name_the_line() -> None:
    with pytest.raises(ParseError, match=r"^3:3: parse error: unknown function"):
        parse("sum(\n  a +\n  f(x)\n)")


def test_signs_bind_closer_than_products_and_looser_than_powers() -> None:
    product = parse("-a * b")
    assert isinstance(product, Binary)
    assert isinstance(product.left, Unary)
    power = parse("-a ^ b")
    assert isinstance(power, Unary)
    assert parse("2 ^ -3 * 4") == parse("(2 ^ -3) * 4").__class__("*", parse("2 ^ -3"), NumberLiteral(4.0))


def test_powers_associate_to_the_right_and_the_rest_to_the_left() -> None:
    power = parse("a ^ b ^ c")
    difference = parse("a - b - c")
    assert isinstance(power, Binary)
    assert isinstance(difference, Binary)
    assert power.right == parse("b ^ c")
    assert difference.left == parse("a - b")


@pytest.mark.parametrize(
    ("text", "top"),
    [("a or b and c", "or"), ("a and b == c", "and"), ("a == b + c", "=="), ("a + b * c", "+"), ("a * b ^ c", "*")],
)
def test_operators_bind_in_order(text: str, top: str) -> None:
    node = parse(text)
    assert isinstance(node, Binary)
    assert node.operator == top


def test_selectors_hold_their_matchers_with_the_name_last() -> None:
    node = parse('up{job=~"a.*", x!="1"}')
    assert isinstance(node, VectorSelector)
    assert [str(matcher) for matcher in node.matchers] == ['job=~"a.*"', 'x!="1"', '__name__="up"']
    assert node.other_matchers == node.matchers[:-1]


def test_modifiers_stand_in_any_order_and_belong_to_the_selector_of_a_range() -> None:
    first, second = parse("x[5m] offset 1m @ end()"), parse("x[5m] @ end() offset 1m")
    assert first == second
    assert isinstance(first, MatrixSelector)
    assert (first.selector.offset_ms, first.selector.at) == (60_000, Edge.END)


def test_subqueries_hold_their_own_modifiers() -> None:
    node = parse("rate(x[1m])[5m:15s] @ 10 offset 1s")
    assert isinstance(node, Subquery)
    assert (node.range_ms, node.step_ms, node.at, node.offset_ms) == (300_000, 15_000, 10_000, 1000)


def test_vectors_meet_on_all_labels_unless_told_otherwise() -> None:
    assert parse("a + b").matching == Matching()  # type: ignore[union-attr]
    assert parse("a and b").matching == Matching(Cardinality.MANY_TO_MANY)  # type: ignore[union-attr]
    assert parse("a + 1").matching is None  # type: ignore[union-attr]
    grouped = parse("a * on(x) group_right(y) b")
    assert isinstance(grouped, Binary)
    assert grouped.matching == Matching(Cardinality.ONE_TO_MANY, ("x",), is_on=True, include=("y",))


def test_types_are_known_before_anything_runs() -> None:
    types = {"1 + 1": ValueType.SCALAR, "x + 1": ValueType.VECTOR, "x[1m]": ValueType.MATRIX, '"s"': ValueType.STRING}
    types |= {"(time())": ValueType.SCALAR, "-x": ValueType.VECTOR, "x[5m:]": ValueType.MATRIX}
    assert {text: parse(text).value_type for text in types} == types


@pytest.mark.parametrize("text", ["limitk(1, x)", "info(x)", "x smoothed", "rate(x[1m] anchored)", "a + fill(0) b"])
def test_what_is_experimental_needs_to_be_asked_for(text: str) -> None:
    with pytest.raises(ParseError, match="experimental"):
        parse(text)
    parse(text, ParserSettings(experimental_functions=True, extended_selectors=True, fill_modifiers=True))


@pytest.mark.parametrize(
    "text",
    [
        *(sign * 1_000_000 for sign in "([{-"),
        *("1^" * 300_000, "a+" * 300_000 + "a", "sum(" * 200_000, "x[" * 300_000, "a[" + "(" * 900_000),
        "a[" + "1m+" * 300_000 + "1m]",
    ],
)
def test_a_megabyte_of_nesting_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"nested more than \d+ deep|unexpected"):
        parse(text, EVERYTHING)


def test_trees_of_the_greatest_height_can_be_walked_and_printed() -> None:
    text = " + ".join(["x"] * 250)
    assert print_node(parse(text)) == text
    assert sum(1 for _ in walk(parse("(" * 120 + "x" + ")" * 120))) == 121


def test_nodes_know_where_they_stand() -> None:
    text = "sum by (a) ( rate(x[5m]  offset 1m) )"
    node = parse(text)
    assert isinstance(node, Aggregation)
    call = node.expression
    assert isinstance(call, Call)
    assert text[slice(*node.span)] == text
    assert text[slice(*call.span)] == "rate(x[5m]  offset 1m)"
    assert text[slice(*children(call)[0].span)] == "x[5m]  offset 1m"


def test_series_are_read_as_labels() -> None:
    assert parse_labels('up{job="a", b="c"}').pairs == (("__name__", "up"), ("b", "c"), ("job", "a"))
    assert parse_labels('{"a b", "c d"="e"}').pairs == (("__name__", "a b"), ("c d", "e"))
    assert parse_labels("{}").pairs == ()
    for text in ('up{job=~"a"}', "up[5m]", "", 'up{a="1",a="2"}'):
        with pytest.raises(ParseError):
            parse_labels(text)


def test_selectors_alone_are_read_without_modifiers() -> None:
    assert parse_selector('up{job="a"}').matchers[0] == Matcher("job", MatchOperator.EQUAL, "a")
    for text in ("up offset 1m", "up[5m]", "sum(up)", "up @ 5"):
        with pytest.raises(ParseError):
            parse_selector(text)
