"""`nunchi check`: what is good, what is refused, and what is only remarked upon."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.peers import conformance

from nunchi.cli.check import command
from nunchi.kit.errors import InputError
from nunchi.server.language import EXPERIMENTAL_FUNCTIONS

DOUBLED = (
    "groups: [{name: g, rules: [{record: x, expr: up}, {record: x, expr: down, labels: {}}, {alert: A, expr: up}]}]"
)


def run(*words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refusal(result: Result) -> str:
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


def test_rules_that_write_the_same_are_named_and_refused_where_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "rules.yml", DOUBLED)
    assert run("rules", path).output == (
        f"{path}: good; 1 rule groups, 3 rules\n{path}: x is written by several rules: make one of them\n"
    )
    assert refusal(run("rules", "--lint-fatal", path)) == f"{path}: x is written by several rules: make one of them"


def test_rules_are_checked_for_a_server_with_features_and_without_them(tmp_path: Path) -> None:
    path = written(
        tmp_path, "r.yml", "groups: [{name: g, owner: x, rules: [{record: x, expr: 'sort_by_label(up, \"a\")'}]}]"
    )
    assert 'unknown field "owner"' in refusal(run("rules", path))
    assert "experimental and not enabled" in refusal(run("rules", "--ignore-unknown-fields", path))
    features = ("--enable-feature", EXPERIMENTAL_FUNCTIONS)
    assert run("rules", "--ignore-unknown-fields", *features, path).exit_code == 0
    config = written(tmp_path, "p.yml", "rule_files: [s.yml]")
    written(tmp_path, "s.yml", path.read_text().replace("owner: x, ", ""))
    assert "experimental and not enabled" in refusal(run("config", config))
    assert run("config", *features, config).exit_code == 0


JOB = "scrape_configs: [{job_name: j, %s}]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rule_files: [absent.yml]", "rule_files: {folder}/absent.yml does not exist"),
        (JOB % "authorization: {credentials_file: key}", "authorization.credentials_file: {folder}/key does not exist"),
        (JOB % "tls_config: {ca_file: /no/ca}", 'job "j": tls_config.ca_file: /no/ca does not exist'),
        (JOB % "file_sd_configs: [{files: ['*.json']}]", "{folder}/broken.json: "),
        (JOB % "file_sd_configs: [{files: [targets.yaml]}]", 'targets.yaml: target "a:b:c": '),
        (JOB % "static_configs: [{targets: ['a:0']}]", "target \"a:0\": 'a:0' is not a valid address"),
        ("alerting: {alertmanagers: [{bearer_token_file: key}]}", "alertmanagers[0]: bearer_token_file: {folder}/key"),
    ],
)
def test_what_a_configuration_names_has_to_be_there(tmp_path: Path, text: str, reason: str) -> None:
    written(tmp_path, "broken.json", '[{"targets": 5}]')
    written(tmp_path, "targets.yaml", "[{targets: ['a:b:c']}]")
    path = written(tmp_path, "prometheus.yml", text)
    assert reason.format(folder=tmp_path) in refusal(run("config", path))
    assert run("config", "--syntax-only", path).exit_code == 0


GOOD = ("authorization_credentials_file.good", "prometheus-config.good", "prometheus-config.lint")
GOOD_URLS = ("url_in_alert_targetgroup_with_relabel_config.good", "url_in_scrape_targetgroup_with_relabel_config.good")
BAD = ("authorization_credentials_file.bad", "config_with_rule_files", "config_with_tls_files", "prometheus-config.bad")
BAD_URLS = ("url_in_alert_targetgroup_with_relabel_config.bad", "url_in_scrape_targetgroup_with_relabel_config.bad")


@pytest.mark.parametrize("name", [*GOOD, *GOOD_URLS, *BAD, *BAD_URLS])
def test_public_configurations_are_judged_as_promtool_judges_them(name: str) -> None:
    path = conformance("promtool") / f"{name}.yml"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    result = run("config", path)
    assert (result.exit_code == 0) is (name in (*GOOD, *GOOD_URLS)), result.output


def test_public_rules_with_every_feature_are_good() -> None:
    path = conformance("promtool") / "features.yml"
    features = "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers"
    assert run("rules", "--enable-feature", features, path).exit_code == 0
    assert run("rules", path).exit_code != 0


def test_text_of_a_target_is_read_as_a_scrape_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path, "metrics", '# TYPE a counter\na_total{b="c"} 1\na_total 2 5\n')
    assert run("metrics", "--text", path).output == f"{path}: good; 1 metric families, 2 samples\n"
    assert refusal(run("metrics", path)).endswith("text of version 0.0.4 is read with --text")
    written(tmp_path, "metrics", "a 1\na{b=c} 2\n")
    assert refusal(run("metrics", "--text", path)).startswith(f"{path}: line 2: ")
    written(tmp_path, "metrics", "a 1\n# EOF\n")
    assert run("metrics", path).output == f"{path}: good; 1 metric families, 1 samples\n"
