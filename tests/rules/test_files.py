"""Rule files: what is refused and where, what is accepted."""

import re
from pathlib import Path

import pytest
from tests.peers import conformance

from nunchi.kit.settings import SettingsError
from nunchi.query.syntax import EVERYTHING, ParserSettings
from nunchi.rules.files import find_rule_files, load_rule_file, missing_rule_files, parse_rule_file

# Good under the UTF-8 naming scheme, which is the only one here.
UTF8_GOOD = {"legacy_validation_annotation.bad.yaml"}

FAULTS = [
    ("groups: [{name: g, rules: [{record: x, expr: 'sum('}]}]", "1:51"),
    ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up ==\n        0 +\n", "7:12"),
    ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: >\n      up ==\n      foo(1)\n", "7:7"),
    ('groups:\n- name: g\n  rules:\n  - alert: A\n    expr: "up + +"\n', "5:18"),
    ("groups: [{name: g, rules: [{alert: A, expr: up, labels: {__name__: x}}]}]", "1:68"),
    ("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {s: '{{ $label }}'}}]}]", "1:66"),
    ("groups: [{name: g, interval: -1m}]", "1:30"),
    ("groups: [{name: g}, {name: g}]", "1:28"),
    ("groups: [{name: g, limt: 5}]", "1:20"),
    ("groups: [{name: g, rules: [{record: 'a{b=\"c\"}', expr: up}]}]", "1:37"),
    ("groups: [{name: g, rules: [{expr: up}]}]", "1:28"),
    ("groups: [{name: g, rules: [{record: x, expr: up, for: 5m}]}]", "1:55"),
]


@pytest.mark.parametrize(("text", "place"), FAULTS, ids=range(len(FAULTS)))
def test_errors_stand_at_their_place(text, place):
    with pytest.raises(SettingsError) as caught:
        parse_rule_file(text, "r.yml")
    assert str(caught.value).startswith(f"r.yml:{place}: "), str(caught.value)


@pytest.mark.parametrize("folder", ["rulefmt", "rules"])
def test_public_rule_files_are_accepted_and_refused_as_their_names_say(folder):
    for path in sorted(conformance(folder).iterdir()):
        is_bad = ".bad." in path.name or path.name in ("invalid_rules.yaml", "rules_multi_doc.yaml")
        if is_bad and path.name not in UTF8_GOOD:
            with pytest.raises(SettingsError, match=rf"{re.escape(path.name)}:\d+:\d+: "):
                load_rule_file(path)
        else:
            load_rule_file(path)


def test_public_rule_files_of_promtool():
    folder = conformance("promtool")
    for path in sorted(folder.glob("*.yml")):
        text = path.read_text()
        if not text.lstrip("# \n").startswith("groups:") and "\ngroups:" not in text:
            continue
        if "extrafields" in path.name or path.name in ("bad-rules-syntax.yml", "rules-bad.yml", "features.yml"):
            with pytest.raises(SettingsError):
                load_rule_file(path)
        else:
            load_rule_file(path)


def test_patterns_are_relative_to_their_folder(tmp_path: Path):
    for name in ("b.yml", "a.yml", "other.txt"):
        (tmp_path / name).write_text("groups: []")
    found = find_rule_files(["*.yml", "a.yml", "none/*.yml", "missing.yml"], tmp_path)
    assert [path.name for path in found] == ["a.yml", "b.yml"]
    assert missing_rule_files(["*.yml", "a.yml", "none/*.yml", "missing.yml"], tmp_path) == [tmp_path / "missing.yml"]


EXPERIMENTAL = (
    "groups: [{name: g, rules: [{record: x, expr: 'sort_by_label(up, \"job\")'}, {alert: A, expr: 'up + fill(0) y'}]}]"
)


def test_expressions_may_use_what_the_server_speaks_and_no_more():
    file = parse_rule_file(EXPERIMENTAL, "r.yml", EVERYTHING)
    assert len(file.groups[0].rules) == 2
    with pytest.raises(SettingsError, match=r"r.yml:1:47: expr: function .sort_by_label. is experimental"):
        parse_rule_file(EXPERIMENTAL, "r.yml")
    with pytest.raises(SettingsError, match=r"r.yml:1:98: expr: binop fill modifiers are experimental"):
        parse_rule_file(EXPERIMENTAL, "r.yml", ParserSettings(experimental_functions=True))


def test_unknown_fields_are_passed_over_where_asked():
    text = "groups: [{name: g, team: x, rules: [{record: x, expr: up, owner: me}]}]"
    assert parse_rule_file(text, "r.yml", ignores_unknown=True).groups[0].rules[0].record == "x"
