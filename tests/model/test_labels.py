import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.labels import Labels, quote

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
label_sets = st.dictionaries(texts.filter(bool), texts, max_size=6).map(Labels)


@given(label_sets)
def test_a_key_leads_back_to_its_labels(labels: Labels) -> None:
    assert Labels.from_key(labels.key()) == labels


@given(label_sets, label_sets)
def test_equal_labels_have_equal_keys_and_hashes_and_others_do_not(one: Labels, other: Labels) -> None:
    assert (one.key() == other.key()) is (one == other)
    if one == other:
        assert hash(one) == hash(other)


def test_labels_are_sorted_and_empty_values_are_absence() -> None:
    labels = Labels({"b": "2", "a": "1", "c": ""})
    assert labels.pairs == (("a", "1"), ("b", "2"))
    assert labels.get("c") == ""
    assert "c" not in labels
    assert len(labels) == 2


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="given twice"):
        Labels([("a", "1"), ("a", "2")])


def test_labels_print_as_promql_writes_them() -> None:
    assert str(Labels.of("up", job='a"b\\\n')) == 'up{job="a\\"b\\\\\\n"}'
    assert str(Labels.of("up")) == "up"
    assert str(Labels()) == "{}"
    assert str(Labels({"a": "1"})) == '{a="1"}'
    assert quote("x\ny") == '"x\\ny"'


def test_merge_sets_and_removes_and_the_original_stays() -> None:
    labels = Labels.of("m", a="1", b="2")
    assert labels.merge({"a": "9", "b": "", "c": "3"}) == Labels.of("m", a="9", c="3")
    assert labels == Labels.of("m", a="1", b="2")
    assert labels.drop("a") == Labels.of("m", b="2")
    assert labels.keep("a") == Labels({"a": "1"})


def test_a_missing_label_is_a_key_error_by_index_and_empty_by_get() -> None:
    with pytest.raises(KeyError):
        Labels.of("m")["a"]
    assert Labels.of("m").get("a", "-") == "-"
