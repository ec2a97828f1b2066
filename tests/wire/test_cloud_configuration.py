"""Cloud configurations from outside: a closed schema, bounded in all directions."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.settings import SettingsError
from nunchi.wire.cloud_configuration import CloudConfiguration, parse_cloud_configuration

ACCOUNT = {"name": "a", "regions": ["eu-west-1"], "metrics": [{"namespace": "AWS/EC2", "metrics": [{"name": "CPU"}]}]}


def parse(**changes: object) -> CloudConfiguration:
    return parse_cloud_configuration(json.dumps({"aws": [{**ACCOUNT, **changes}]}), "test")


def parse_job(**changes: object) -> CloudConfiguration:
    return parse(metrics=[{"namespace": "AWS/EC2", "metrics": [{"name": "CPU"}], **changes}])


def test_a_configuration_is_yaml_or_json():
    text = "aws:\n- {name: a, regions: [eu-west-1], metrics: [{namespace: AWS/EC2, metrics: [{name: CPU}]}]}\n"
    assert parse_cloud_configuration(text, "test") == parse()
    assert parse_cloud_configuration("", "test") == CloudConfiguration()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("access_key_id", "AKIA", "unknown field"),
        ("secret_access_key_file", "/etc/shadow", "unknown field"),
        ("endpoint_url", "http://evil", "unknown field"),
        ("credentials", "../../etc/passwd", "name under which"),
        ("credentials", "${AWS_SECRET}", "name under which"),
        ("role_arn", "arn:aws:iam::1:role/x", "write a role"),
        ("external_id", "x y", "external id"),
        ("regions", [], "at least 1"),
        ("regions", ["eu-west-1.evil.example"], "no region"),
        ("regions", ["eu-west-1", "eu-west-1"], "twice"),
        ("name", "a|b", "a name has"),
        ("resources", {"interval": "1m"}, "5m is the shortest"),
    ],
)
def test_what_an_account_may_not_say_is_refused_with_place_and_cure(field: str, value: object, words: str):
    with pytest.raises(SettingsError, match=words) as refused:
        parse(**{field: value})
    assert str(refused.value).startswith("test:1:")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("period", "45s", "a period is"),
        ("interval", "1s", "shortest interval"),
        ("look_back", "30d", "7d is the longest"),
        ("look_back", "6d", "1440 periods"),
        ("statistics", ["Mean"], "no statistic"),
        ("statistics", [], "at least one"),
        ("namespace", "bad namespace", "no namespace"),
        ("metrics", [], "at least 1"),
        ("tag_filters", {"Team": "(a+)+$"}, "repeats no groups"),
        ("tag_filters", {"Team": ".*.*.*.*x"}, "repeats no groups"),
        ("tag_filters", {"Team": "(a"}, "not a valid regular expression"),
        ("tag_filters", {"Team": "a" * 300}, "200 characters"),
        ("command", "rm -rf /", "unknown field"),
    ],
)
def test_what_a_job_may_not_say_is_refused(field: str, value: object, words: str):
    with pytest.raises(SettingsError, match=words):
        parse_job(**{field: value})


@pytest.mark.parametrize("statistic", ["Average", "p99", "p99.9", "tm95", "IQM", "PR(100:500)", "TM(10%:90%)"])
def test_statistics_that_cloudwatch_computes_are_taken(statistic: str):
    assert parse_job(statistics=[statistic]).aws[0].metrics[0].statistics == (statistic,)


@given(st.text(max_size=300))
def test_any_text_is_a_configuration_or_an_error(text: str):
    with contextlib.suppress(SettingsError):
        assert isinstance(parse_cloud_configuration(text, "test"), CloudConfiguration)
