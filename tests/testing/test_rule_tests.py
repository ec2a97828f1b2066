"""Rule tests: what passes, what is found and how it is said, over Prometheus's own files where they are there."""

import re
from pathlib import Path

import pytest
from tests.peers import conformance

from nunchi.kit.settings import SettingsError
from nunchi.query.syntax import EVERYTHING
from nunchi.testing.rule_tests import RuleTestOptions, RuleTestReport, run_rule_tests

RULES = """
groups:
  - name: second
    rules:
      - {record: doubled, expr: base * 2}
  - name: first
    rules:
      - {record: base, expr: sum(raw)}
      - alert: High
        expr: raw > 3
        for: 2m
        labels: {where: "{{ $externalLabels.site }}"}
        annotations: {text: "{{ $labels.room }} has {{ $value }}"}
"""


def run(folder: Path, text: str, options: RuleTestOptions | None = None) -> RuleTestReport:
    (folder / "rules.yml").write_text(RULES)
    (folder / "tests.yml").write_text(text)
    return run_rule_tests([folder / "tests.yml"], options or RuleTestOptions())


def test_alerts_and_expressions_are_as_the_rules_make_them(tmp_path: Path):
    text = """
rule_files: [rules.yml]
group_eval_order: [first, second]
tests:
  - external_labels: {site: here}
    input_series:
      - {series: 'raw{room="a"}', values: "1+1x10"}
      - {series: 'raw{room="b"}', values: "0 _x3 stale"}
    alert_rule_test:
      - {eval_time: 4m, alertname: High}
      - {eval_time: 5m30s, alertname: High, exp_alerts: [
          {exp_labels: {room: a, where: here}, exp_annotations: {text: a has 6}}]}
    promql_expr_test:
      - {expr: doubled, eval_time: 2m, exp_samples: [{labels: doubled, value: 6}]}
      - {expr: "count by (alertstate) (ALERTS)", eval_time: 3m, exp_samples: [
          {labels: '{alertstate="pending"}', value: 1}]}
      - {expr: 'raw{room="b"}', eval_time: 4m}
      - {expr: "vector(NaN)", eval_time: 1m, exp_samples: [{value: .nan}]}
      - {expr: "count_over_time(raw[5m:])", eval_time: 4m, exp_samples: [
          {labels: '{room="a"}', value: 5}, {labels: '{room="b"}', value: 4}]}
"""
    report = run(tmp_path, text)
    assert str(report) == "1 passed, 0 failed"


def test_a_finding_names_file_test_time_and_both_sides(tmp_path: Path):
    text = """
rule_files: [rules.yml]
tests:
  - name: rooms
    input_series: [{series: 'raw{room="a"}', values: "5x10"}]
    alert_rule_test: [{eval_time: 3m, alertname: High}]
    promql_expr_test: [{expr: raw, eval_time: 1m, exp_samples: [{labels: raw, value: 5}]}]
"""
    report = run(tmp_path, text)
    assert report.findings == [
        f'{tmp_path}/tests.yml: test "rooms": at 3m: alert High\n    wanted: nothing\n'
        '    given:  {alertname="High", room="a", where=""} with {text="a has 5"}'.replace(', where=""', ""),
        f'{tmp_path}/tests.yml: test "rooms": at 1m: raw\n    wanted: raw 5.0\n    given:  raw{{room="a"}} 5.0',
    ]
    assert (report.passed, report.failed) == (0, 1)


def test_samples_later_than_the_evaluation_do_not_exist_yet(tmp_path: Path):
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: ahead, expr: raw offset -1m}]}]")
    (tmp_path / "tests.yml").write_text("""
rule_files: [rules.yml]
tests:
  - input_series: [{series: raw, values: "1 2 3"}]
    promql_expr_test: [{expr: ahead, eval_time: 1m, exp_samples: [{labels: ahead, value: 2}]}]
""")
    assert run_rule_tests([tmp_path / "tests.yml"], RuleTestOptions()).failed == 0


def test_histograms_are_compared_with_their_hints(tmp_path: Path):
    text = """
tests:
  - input_series: [{series: h, values: "{{schema:1 count:2 sum:3 buckets:[2]}}x2"}]
    promql_expr_test:
      - expr: h
        eval_time: 1m
        exp_samples: [{labels: h, histogram: "{{schema:1 count:2 sum:3 buckets:[2]%s}}"}]
"""
    assert run(tmp_path, text % " counter_reset_hint:not_reset").failed == 0
    assert run(tmp_path, text % "").failed == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tests: [{alert_rule_test: [{eval_time: 1m}]}]", "1:28: alertname is missing"),
        ("tests: [{inputs: []}]", '1:10: unknown field "inputs"'),
        ("evaluation_interval: 0s", "1:22: must be longer than 0s"),
        ("group_eval_order: [a, b, a]", '1:26: the group "a" stands here twice'),
    ],
)
def test_a_file_that_is_wrong_is_refused_at_its_place(tmp_path: Path, text: str, reason: str):
    with pytest.raises(SettingsError, match=f"tests.yml:{re.escape(reason)}"):
        run(tmp_path, text)


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("{input_series: [{series: 'up{', values: '1'}]}", "not a value of the series notation"),
        ("{input_series: [{series: up, values: '1 x'}]}", "not a value of the series notation: 'x'"),
        ("{start_timestamp: yesterday}", 'start_timestamp: "yesterday" is no time'),
        ("{promql_expr_test: [{expr: 'sum('}]}", "at 0s: sum(: 1:5: parse error: unclosed left parenthesis"),
        ("{promql_expr_test: [{expr: up, exp_samples: [{labels: '{{'}]}]}", "labels '{{': "),
        ("{promql_expr_test: [{expr: up, exp_samples: [{histogram: '1'}]}]}", "write one histogram in double braces"),
    ],
)
def test_a_test_that_cannot_be_run_has_failed(tmp_path: Path, test: str, reason: str):
    report = run(tmp_path, f"tests: [{test}]")
    assert report.failed == 1
    assert reason in report.findings[0]


def test_tests_are_chosen_by_name_and_experiments_by_option(tmp_path: Path):
    text = "tests: [{name: sorted, promql_expr_test: [{expr: 'sort_by_label(up, \"job\")'}]}, {name: other}]"
    assert run(tmp_path, text, RuleTestOptions(chosen=lambda name: name == "other")).passed == 1
    assert run(tmp_path, text).failed == 1
    assert run(tmp_path, text, RuleTestOptions(parser=EVERYTHING)).passed == 2


GOOD = (
    "unittest",
    "start-time-test",
    "at-modifier-test",
    "negative-offset-test",
    "long-period",
    "no-test-group-interval",
)
BAD = ("failing", "bad-rules-error-test", "bad-rules-syntax-test", "bad-input-series", "bad-promql", "rules_run")


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_public_files_pass_and_fail_as_they_are_meant_to(name: str):
    path = conformance("promtool") / f"{name}.yml"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    report = run_rule_tests([path], RuleTestOptions())
    assert bool(report.failed) is (name in BAD), report.findings
