import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.names import NameScheme
from nunchi.model.relabel import Relabeller, RelabelRule, hash_modulo, parse_template


def relabelled(
    labels: dict[str, str], *rules: RelabelRule, scheme: NameScheme = NameScheme.UTF8
) -> dict[str, str] | None:
    changed = dict(labels)
    return changed if Relabeller(rules, scheme).apply(changed) else None


LABELS = {"a": "foo", "b": "bar", "c": "baz"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(
            RelabelRule(
                source_labels=("a",), regex="f(.*)", target_label="d", separator=";", replacement="ch${1}-ch${1}"
            ),
            {**LABELS, "d": "choo-choo"},
            id="replace_expands_groups",
        ),
        pytest.param(
            RelabelRule(source_labels=("a", "b"), regex="f(.*);(.*)r", target_label="a", replacement="b${1}${2}m"),
            {**LABELS, "a": "boobam"},
            id="replace_joins_sources_with_the_separator",
        ),
        pytest.param(
            RelabelRule(source_labels=("a",), regex="no_match", target_label="d", replacement="x"),
            LABELS,
            id="replace_without_match_changes_nothing",
        ),
        pytest.param(
            RelabelRule(source_labels=("a",), regex="f.*", target_label="b", replacement=""),
            {"a": "foo", "c": "baz"},
            id="replace_with_nothing_removes",
        ),
        pytest.param(
            RelabelRule(source_labels=("absent",), regex="(.*)", target_label="b"),
            {"a": "foo", "c": "baz"},
            id="an_absent_source_is_empty_and_matches_the_default",
        ),
        pytest.param(
            RelabelRule(target_label="e", replacement="always"),
            {**LABELS, "e": "always"},
            id="replace_without_source_sets_a_constant",
        ),
        pytest.param(
            RelabelRule(source_labels=("a",), regex="(?P<first>.)(.*)", target_label="${first}x", replacement="$2"),
            {**LABELS, "fx": "oo"},
            id="target_label_expands_named_groups",
        ),
        pytest.param(
            RelabelRule(source_labels=("a",), regex="fo(o)", target_label="d", replacement="$$1$10$x${1"),
            {**LABELS, "d": "$1${1"},
            id="unknown_groups_are_empty_and_a_broken_reference_is_text",
        ),
        pytest.param(RelabelRule(source_labels=("a",), regex="foo", action="drop"), None, id="drop"),
        pytest.param(RelabelRule(source_labels=("a",), regex="fo", action="drop"), LABELS, id="regexes_are_anchored"),
        pytest.param(RelabelRule(source_labels=("a",), regex="f.*", action="keep"), LABELS, id="keep"),
        pytest.param(RelabelRule(source_labels=("a",), regex="x.*", action="keep"), None, id="keep_drops_the_rest"),
        pytest.param(RelabelRule(source_labels=("a",), regex="foo", action="DROP"), None, id="case_of_actions_is_free"),
        pytest.param(
            RelabelRule(source_labels=("c",), target_label="d", separator=";", modulus=1000, action="hashmod"),
            {**LABELS, "d": "976"},
            id="hashmod_takes_the_last_eight_bytes_of_md5",
        ),
        pytest.param(
            RelabelRule(
                source_labels=("c",), target_label="d", separator=";", modulus=999, action="hashmod", regex="x"
            ),
            {**LABELS, "d": str(hash_modulo("baz", 999))},
            id="hashmod_ignores_the_regex",
        ),
        pytest.param(RelabelRule(regex="(b.*)", action="labeldrop"), {"a": "foo", "c": "baz"}, id="labeldrop"),
        pytest.param(RelabelRule(regex="[ab]", action="labelkeep"), {"a": "foo", "b": "bar"}, id="labelkeep"),
        pytest.param(
            RelabelRule(regex="(a|b)", replacement="copy_$1", action="labelmap"),
            {**LABELS, "copy_a": "foo", "copy_b": "bar"},
            id="labelmap_copies",
        ),
        pytest.param(
            RelabelRule(regex="(a|b)", replacement="c", action="labelmap"),
            {**LABELS, "c": "bar"},
            id="labelmap_sees_the_state_before_and_the_last_name_wins",
        ),
        pytest.param(RelabelRule(source_labels=("a",), target_label="b", action="keepequal"), None, id="keepequal"),
        pytest.param(RelabelRule(source_labels=("a",), target_label="b", action="dropequal"), LABELS, id="dropequal"),
    ],
)
def test_a_rule_does_what_prometheus_does(rule: RelabelRule, expected: dict[str, str] | None) -> None:
    assert relabelled(LABELS, rule) == expected


def test_equal_labels_are_kept_or_dropped() -> None:
    same = {"__port__": "80", "port": "80"}
    assert relabelled(same, RelabelRule(source_labels=("__port__",), target_label="port", action="keepequal")) == same
    assert relabelled(same, RelabelRule(source_labels=("__port__",), target_label="port", action="dropequal")) is None


def test_letter_case_changes_rune_by_rune() -> None:
    lower = RelabelRule(source_labels=("a",), target_label="l", action="lowercase")
    upper = RelabelRule(source_labels=("a",), target_label="u", action="uppercase")
    changed = relabelled({"a": "bAr123ßΣ"}, lower, upper)
    assert changed == {"a": "bAr123ßΣ", "l": "bar123ßσ", "u": "BAR123ßΣ"}


def test_rules_see_what_the_rules_before_them_made() -> None:
    rules = (
        RelabelRule(source_labels=("a",), regex="(f).*", target_label="d", replacement="$1"),
        RelabelRule(source_labels=("d",), regex="f", action="drop"),
    )
    assert relabelled(LABELS, *rules) is None
    assert Relabeller(rules).dropping_rule(LABELS) == 1
    assert Relabeller(rules[:1]).dropping_rule(LABELS) is None


def test_a_dot_matches_newlines() -> None:
    assert relabelled({"a": "x\ny"}, RelabelRule(source_labels=("a",), regex="x.y", action="drop")) is None


def test_a_target_that_is_no_label_name_after_expansion_is_skipped() -> None:
    rule = RelabelRule(source_labels=("a",), regex="(.*)", target_label="${1}", replacement="x")
    assert relabelled({"a": "not-legacy"}, rule, scheme=NameScheme.LEGACY) == {"a": "not-legacy"}
    assert relabelled({"a": "not-legacy"}, rule) == {"a": "not-legacy", "not-legacy": "x"}
    assert relabelled({"b": "1"}, rule) == {"b": "1"}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "target_label: replace needs one"),
        ({"action": "move"}, '"move" is not a relabel action'),
        ({"regex": "abc(def", "target_label": "x"}, "regex: "),
        ({"regex": "(?=x)", "target_label": "x"}, "regex: "),
        ({"action": "hashmod", "target_label": "x"}, "modulus: hashmod needs one"),
        ({"action": "hashmod", "modulus": 8}, "target_label: hashmod needs one"),
        ({"action": "lowercase", "target_label": "x", "replacement": "y"}, "replacement: cannot be set"),
        ({"action": "uppercase"}, "target_label: uppercase needs one"),
        ({"action": "keepequal", "target_label": "x", "regex": "y"}, "source_labels and target_label alone"),
        ({"action": "dropequal", "target_label": "x", "separator": ","}, "source_labels and target_label alone"),
        ({"action": "labeldrop", "source_labels": ("x",)}, "takes regex alone"),
        ({"action": "labelkeep", "modulus": 1}, "takes regex alone"),
        ({"action": "labelmap", "replacement": ""}, "replacement: "),
        ({"target_label": "x", "source_labels": ("",)}, "source_labels: "),
        ({"target_label": "x", "modulus": -1}, "modulus: "),
    ],
)
def test_a_rule_whose_fields_do_not_fit_is_refused(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        RelabelRule(**fields)
    assert fault in str(caught.value)


@pytest.mark.parametrize("target", ["a-b", "1a", "a b", "${1", "a$-"])
def test_legacy_names_are_narrower(target: str) -> None:
    rule = RelabelRule(target_label=target, replacement="x")
    with pytest.raises(ValueError, match="target_label"):
        rule.check_names(NameScheme.LEGACY)


@pytest.mark.parametrize("target", ["a", "_a1", "${1}", "a_${1}", "$x_b", "${1}${2}"])
def test_legacy_names_may_be_templates(target: str) -> None:
    RelabelRule(target_label=target, replacement="x").check_names(NameScheme.LEGACY)


@given(st.text(alphabet="$a1{}_ ", max_size=12))
def test_a_template_without_groups_keeps_all_that_is_no_reference(text: str) -> None:
    parts = parse_template(text, {}, 0)
    assert "".join(str(part) for part in parts if isinstance(part, str)).count("$") <= text.count("$")
    if "$" not in text:
        assert "".join(map(str, parts)) == text


@given(st.text(), st.integers(1, 2**64 - 1))
def test_a_hash_is_within_its_modulus(text: str, modulus: int) -> None:
    assert 0 <= hash_modulo(text.encode("utf-8", "replace").decode(), modulus) < modulus
