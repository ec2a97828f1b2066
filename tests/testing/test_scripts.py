"""The script runner says what did not go as the script says, and where."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.model.histogram import CUSTOM_SCHEMA, Histogram
from nunchi.model.labels import Labels
from nunchi.query.errors import Unsupported
from nunchi.query.syntax import EVERYTHING, parse, print_node
from nunchi.testing.script_loading import samples_of
from nunchi.testing.script_settings import ScalarSetting
from nunchi.testing.script_text import Eval, Load, Remark, ScriptError, parse_script
from nunchi.testing.script_variants import pin, pinned_variants
from nunchi.testing.scripts import Answer, Failure, Report, run_files, run_text

LOADED = 'load 1m\n  m{a="1"} 0+1x10\n  m{a="2"} 0+2x10\n  h {{count:2 sum:3 buckets:[1 1]}}x10\n\n'


def run(script: str) -> Report:
    report = Report()
    run_text(LOADED + script, "case.test", ScalarSetting, report)
    return report


def only_failure(script: str) -> Failure:
    report = run(script)
    assert len(report.failures) == 1, str(report)
    return report.failures[0]


PASSING = [
    'eval instant at 5m m\n  m{a="1"} 5\n  m{a="2"} 10',
    "eval instant at 5m sum(m)\n  {} 15.000000001",
    "eval instant at 5m 1 + 1\n  2",
    'eval instant at 5m "a"\n  expect string "a"',
    "eval instant at 5m nothing",
    'eval range from 0 to 2m step 1m m{a="1"}\n  m{a="1"} 0 1 2',
    'eval range from 0 to 2m step 1m m{a="1"} > 0\n  m{a="1"} _ 1 2',
    'eval instant at 2m m{a="1"}[2m]\n  expect range vector from 1m to 2m step 1m\n  m{a="1"} 1 2',
    'eval instant at 5m sort_desc(m)\n  expect ordered\n  m{a="2"} 10\n  m{a="1"} 5',
    'eval_ordered instant at 5m sort(m)\n  m{a="1"} 5\n  m{a="2"} 10',
    "eval instant at 5m rate(m)\n  expect fail",
    "eval_fail instant at 5m m + on() m\n  expected_fail_regexp many-to-many",
    'eval instant at 5m rate(m[2m])\n  expect info\n  expect no_warn\n  {a="1"} 0.016666666\n  {a="2"} 0.033333333',
    "eval instant at 5m histogram_count(h)\n  {} 2",
    "eval instant at 5m h\n  h {{sum:3 count:2 buckets:[1 1]}}",
    "clear\n\neval instant at 5m m",
    "# only words\n\n\n",
]

FAILING = {
    'eval instant at 5m m{a="1"}\n  m{a="1"} 6': ('m{a="1"} 6.0@300', 'm{a="1"} 5.0@300'),
    'eval instant at 5m m{a="1"}\n  m{a="2"} 5': ('m{a="2"} 5.0@300', 'm{a="1"} 5.0@300'),
    'eval instant at 5m m{a="1"}': ("nothing", 'm{a="1"} 5.0@300'),
    'eval instant at 5m nothing\n  m{a="1"} 5': ('m{a="1"} 5.0@300', "nothing"),
    "eval instant at 5m 1 + 1\n  3": ("3.0", "2.0"),
    'eval instant at 5m sort(m)\n  expect ordered\n  m{a="2"} 10\n  m{a="1"} 5': (None, None),
    "eval instant at 5m m\n  expect fail": ("an error: anything", None),
    "eval instant at 5m rate(m)\n  expect fail msg: other words": ("an error: 'other words'", None),
    "eval instant at 5m m +": ("nothing", "ParseError: 1:4: parse error: unexpected end of input"),
    "eval instant at 5m rate(m[2m]) > 9\n  expect no_info": ("no info", None),
    "eval instant at 5m rate(m[2m]) > 9\n  expect warn": ("warn: anything", "[]"),
    "eval instant at 5m rate(m[2m]) > 9\n  expect info msg: PromQL info: other": (None, None),
    'eval range from 0 to 2m step 1m m{a="1"}\n  m{a="1"} 0 _ 2': (None, None),
    "eval instant at 5m h\n  h {{sum:3 count:2 buckets:[1 2]}}": (None, None),
    "eval instant at 5m h\n  h {{sum:3 count:2 buckets:[1 1] counter_reset_hint:gauge}}": (None, None),
}


@pytest.mark.parametrize("script", PASSING)
def test_evals_that_go_as_written_pass(script: str) -> None:
    report = run(script)
    assert not report.failures, str(report)
    assert report.passed == script.count("eval")


@pytest.mark.parametrize(("script", "shown"), FAILING.items())
def test_evals_that_do_not_are_reported_with_both_sides(script: str, shown: tuple[str | None, str | None]) -> None:
    failure = only_failure(script)
    assert (failure.path, failure.line) == ("case.test", 6)
    assert shown[0] in {None, failure.wanted}
    assert shown[1] in {None, failure.given}
    assert str(run(script)).endswith("0 passed, 1 failed")


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("eval instant at 5m\n", 1),
        ("do something", 1),
        ("load\n  m 1", 1),
        ("load 5x\n m 1", 1),
        ("load 1m\n  m 1\n  m 1 y", 3),
        ("load 1m\n m@st 0 0\n m 1", 3),
        ("load 1m\n m {{schema:0}}+{{schema:-1}}x2", 2),
        ("\neval instant at 1m m\n  m 1 2", 3),
        ("eval instant at 1m m\n  expect no_warn\n  expect fail regex: (", 3),
        ("load 1m\n m 1x99999999", 2),
    ],
)
def test_scripts_that_cannot_be_read_are_named_with_their_line(script: str, line: int) -> None:
    with pytest.raises(ScriptError, match=rf"^broken.test:{line}: ") as caught:
        list(parse_script(script, "broken.test"))
    assert caught.value.text == script.splitlines()[line - 1].strip()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*PASSING, *FAILING]), st.data())
def test_a_script_with_any_letters_wrong_is_run_or_named(script: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(script)))
    broken = script[:at] + data.draw(st.text("{}[]()\"'\\*+?x_@:09.-\n #é\x00", max_size=4)) + script[at + 1 :]
    report = run(broken)
    assert report.passed + len(report.failures) <= LOADED.count("eval") + broken.count("eval") + 1
    assert str(report)


def test_a_broken_script_is_a_failure_of_the_report() -> None:
    failure = only_failure("nonsense\n\neval instant at 5m 1\n  2")
    assert (failure.line, failure.expression) == (6, "nonsense")
    assert failure.given == "no such command: nonsense; the rest of the file was not run"


def test_files_that_are_no_scripts_are_failures_of_the_report(tmp_path: Path) -> None:
    binary = tmp_path / "binary.test"
    binary.write_bytes(b"\xff\xfe")
    report = run_files([binary, tmp_path / "absent.test"], ScalarSetting)
    assert [(failure.line, failure.given) for failure in report.failures] == [
        (0, "the file is no text in UTF-8"),
        (0, "No such file or directory"),
    ]
    assert str(report.failures[1]).startswith(f"{tmp_path / 'absent.test'}\n    wanted: a script\n")


def test_an_endless_expression_is_shown_in_part() -> None:
    failure = only_failure(f"eval instant at 5m {'(' * 100_000}")
    assert "(100000 characters)\n" in str(failure)
    assert len(str(failure)) < 1000


def test_what_an_engine_does_not_support_is_never_the_error_that_was_expected() -> None:
    class Refusing(ScalarSetting):
        def instant(self, expression: str, at_ms: int) -> Answer:
            raise Unsupported("this")

    report = Report()
    run_text("eval instant at 0 m\n  expect fail\n", "case.test", Refusing, report)
    assert [failure.given for failure in report.failures] == ["Unsupported: this is not supported"]


def test_an_answer_that_changes_when_pinned_fails() -> None:
    class Forgetful(ScalarSetting):
        def instant(self, expression: str, at_ms: int) -> Answer:
            return super().instant("vector(1)" if at_ms > 300_000 else expression, at_ms)

    report = Report()
    run_text(LOADED + "eval instant at 5m sum(m)\n  {} 15\n", "case.test", Forgetful, report)
    assert [failure.expression for failure in report.failures] == ["sum(m @ 300.000) at 3000000 ms"]


def test_an_answer_that_changes_in_a_range_fails() -> None:
    class Drifting(ScalarSetting):
        def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
            return super().range(f"{expression} + 1", start_ms, end_ms, step_ms)

    report = Report()
    run_text(LOADED + "eval instant at 5m sum(m)\n  {} 15\n", "case.test", Drifting, report)
    assert report.failures[0].given == "{} 16.0@300"


def test_selectors_are_pinned_but_not_within_pinned_subqueries() -> None:
    text = "sum(a offset 1m) + b @ 5 + rate(c[1m:] @ 7) + max_over_time(d[5m:]) + e @ start()"
    assert print_node(pin(parse(text, EVERYTHING), 60_000)) == (
        "sum(a @ 60.000 offset 1m) + b @ 5.000 + rate(c[1m:] @ 7.000) + max_over_time(d[5m:] @ 60.000) + e @ 60.000"
    )
    assert pinned_variants("time() + m", 60_000) == []
    assert [at for _, at in pinned_variants("m", 60_000)] == [-600_000, 0, 12_000, 60_000, 600_000]
    assert [at for _, at in pinned_variants("m", 0)] == [-1000, 0, 1000]


def test_classic_histograms_are_loaded_as_native_ones_too() -> None:
    script = """load_with_nhcb 1m
      x_bucket{le="1",a="b"} 1
      x_bucket{le="5",a="b"} 3
      x_bucket{le="+Inf",a="b"} 4
      x_sum{a="b"} 9
    """
    (command,) = parse_script(script, "")
    assert isinstance(command, Load)
    native = {series.labels: series.samples[0].value for series in samples_of(command)}[Labels.of("x", a="b")]
    assert isinstance(native, Histogram)
    assert (native.schema, native.custom_values, native.count, native.sum) == (CUSTOM_SCHEMA, (1, 5), 4, 9)
    assert dict(native.positive()) == {0: 1, 1: 2, 2: 1}


def test_start_timestamps_are_relative_to_their_samples() -> None:
    (command,) = parse_script("load 1m\n  x@st _ -30s-1mx1 +1ms\n  x 1 2 3 4\n", "")
    assert isinstance(command, Load)
    (series,) = samples_of(command)
    assert [sample.start_timestamp_ms for sample in series.samples] == [0, 30_000, 30_000, 180_001]


def test_expectations_are_read() -> None:
    text = "eval range from 1m to 2m step 30s x\n expect warn regex: a.c\n expect no_info\n expect warn\n x 1 2 3\n"
    (command,) = parse_script(text, "")
    assert isinstance(command, Eval)
    assert (command.start_ms, command.end_ms, command.step_ms) == (60_000, 120_000, 30_000)
    assert command.forbidden == {Remark.INFO}
    assert [expectation.is_met_by("xabcx") for expectation in command.expectations[Remark.WARN]] == [True, True]
