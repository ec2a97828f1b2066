"""Long expressions are spread over lines, short ones are not."""

from nunchi.query.syntax import parse, pretty_print


def test_short_expressions_stay_on_their_line() -> None:
    assert pretty_print(parse("sum(rate(x[5m]))by(job)")) == "sum by (job) (rate(x[5m]))"


def test_long_expressions_are_split_at_operators_and_brackets() -> None:
    selector = 'http_request_duration_seconds_bucket{cluster="a-long-name",job="another-long-name"}'
    text = (
        f"histogram_quantile(0.99, sum by (le) (rate({selector}[5m]))) > bool on (job) group_left () (sum({selector}))"
    )
    assert pretty_print(parse(text)) == "\n".join(
        [
            "  histogram_quantile(",
            "    0.99,",
            "    sum by (le) (",
            f"      rate({selector}[5m])",
            "    )",
            "  )",
            "> bool on (job) group_left ()",
            f"  (sum({selector}))",
        ]
    )


def test_subqueries_and_signs_keep_to_their_operand() -> None:
    long = " + ".join(f"metric_number_{number}" for number in range(8))
    assert pretty_print(parse(f"-({long})")).startswith("-(\n")
    assert pretty_print(parse(f"max_over_time(({long})[5m:])")).endswith("  )[5m:]\n)")
