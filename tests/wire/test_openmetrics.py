import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.wire.errors import OpenMetricsError
from nunchi.wire.openmetrics import Summary, validate

CASES = Path(__file__).parents[3] / "shared/conformance/openmetrics"


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in CASES.glob("*/test.json")), ids=lambda path: path.name
)
def test_the_suite_of_the_specification_agrees(folder: Path) -> None:
    case = json.loads((folder / "test.json").read_text())
    text = (folder / case["file"]).read_bytes()
    if case["shouldParse"]:
        validate(text)
    else:
        with pytest.raises(OpenMetricsError):
            validate(text)


def test_the_suite_is_there() -> None:
    if not CASES.exists():
        pytest.skip(f"{CASES} is not there")
    assert len(list(CASES.glob("*/test.json"))) > 100


def test_a_valid_text_is_summed_up() -> None:
    text = b"# TYPE a counter\na_total 1\na_created 5\n# TYPE b histogram\n" + b'b_bucket{le="+Inf"} 3\nfree 1\n# EOF\n'
    assert validate(text) == Summary(families=3, samples=4)
    assert validate(b"# EOF") == Summary(0, 0)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a 1\n", 1, "# EOF is missing as the last line"),
        ("# EOF\na 1\n", 2, "text follows after # EOF"),
        ("a 1\n\n# EOF\n", 2, "the line is empty"),
        ("#EOF\n# EOF\n", 1, "a line after # is HELP, TYPE or UNIT"),
        ("# TYPE a counter\na_total -1\n# EOF\n", 2, "a_total only grows: it cannot be negative"),
        ("# TYPE a counter\na_total NaN\n# EOF\n", 2, "a_total counts or sums: it cannot be NaN"),
        ("# TYPE a counter\na_created 1\n# EOF\n", 3, "a metric of the counter a has no _total"),
        ("# TYPE a gauge\na 1\nb 1\na 2\n# EOF\n", 4, "a belongs to the family a, which has ended"),
        ("# TYPE a gauge\nb 1\n# TYPE a gauge\n# EOF\n", 4, "the family a is interrupted by another and begins again"),
        ("# TYPE a counter\n# TYPE a_total gauge\n# EOF\n", 3, "a_total belongs to the family a and to a_total"),
        (
            '# TYPE a gauge\na{b="1"} 1\na{b="2"} 1\na{b="1"} 1\n# EOF\n',
            4,
            "is interrupted by another and begins again",
        ),
        ("a 1\na 2\n# EOF\n", 2, "a with the same labels stands here twice"),
        (
            '# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\n# EOF\n',
            3,
            "the counts of the buckets decrease",
        ),
        ('# TYPE a histogram\na_bucket{le="x"} 2\n# EOF\n', 2, "'x' is not a number"),
        ('# TYPE a summary\na{quantile="1.5"} 2\n# EOF\n', 2, "a label quantile between 0 and 1, not '1.5'"),
        ('a{b="c",} 1\n# EOF\n', 1, "a label name is expected at character 9"),
        ("a 1 1 1\n# EOF\n", 1, "an exemplar: one space, #, one space, labels is expected at character 6"),
        ("__a 1\n# EOF\n", 1, "are reserved"),
        ('a{__b="c"} 1\n# EOF\n', 1, "are reserved"),
        ("# TYPE a_s info\n# UNIT a_s s\n# EOF\n", 2, "a_s is of type info, which has no unit"),
        ("# HELP a x\\\n# EOF\n", 1, "a lone backslash ends the help text"),
    ],
)
def test_a_broken_rule_is_named_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(OpenMetricsError) as caught:
        validate(text.encode())
    assert caught.value.line == line
    assert what in str(caught.value)


def test_text_that_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(OpenMetricsError, match="line 2: the text is not valid UTF-8"):
        validate(b'a 1\nb{c="\xff"} 1\n# EOF\n')


def test_points_of_one_metric_may_follow_each_other_in_time() -> None:
    text = b"# TYPE a histogram\n"
    for time in (1, 2, 2.5):
        text += b'a_bucket{le="1"} 1 %.1f\na_bucket{le="+Inf"} 1 %.1f\na_count 1 %.1f\na_sum 1 %.1f\n' % (
            time,
            time,
            time,
            time,
        )
    assert validate(text + b"# EOF\n").samples == 12


@given(
    text=st.lists(
        st.sampled_from(
            [
                "# TYPE a histogram",
                "# TYPE a counter",
                "# HELP a x",
                "# UNIT a_s s",
                "a 1",
                "a_total 1",
                'a_bucket{le="1"} 1',
                "\n",
                " ",
                "# EOF",
                "1",
                '{b="c"}',
                "\\",
                "é",
            ]
        )
    ).map("".join)
)
def test_any_text_is_valid_or_refused(text: str) -> None:
    with contextlib.suppress(OpenMetricsError):
        validate(text.encode())


@given(text=st.text(max_size=60))
def test_an_error_names_a_line_of_the_text(text: str) -> None:
    with pytest.raises(OpenMetricsError) as caught:
        validate((text + "\n?").encode())
    assert 1 <= caught.value.line <= text.count("\n") + 2
