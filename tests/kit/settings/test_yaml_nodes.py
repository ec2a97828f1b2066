"""`nunchi.kit.settings.yaml_nodes`: structure, places and bounds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.settings import yaml_nodes
from nunchi.kit.settings.errors import Place, SettingsError
from nunchi.kit.settings.yaml_nodes import Mapping, Node, Scalar, Sequence, compose

CONFORMANCE = Path(__file__).parents[4] / "shared" / "conformance"


def texts(node: Node) -> object:
    """The tree as plain values, scalars as their text."""
    if isinstance(node, Sequence):
        return [texts(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key: texts(value) for key, (_, value) in node.entries.items()}
    assert isinstance(node, Scalar)
    return node.text


def composed(text: str) -> object:
    node = compose(text, "f.yml")
    assert node is not None
    return texts(node)


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        compose(text, "f.yml")
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "\ufeff", "  \n\n"])
def test_no_document_is_nothing(text: str) -> None:
    assert compose(text, "f.yml") is None


def test_every_node_knows_where_it_stands() -> None:
    node = compose("a:\n  - x\n  - {b: 1}\n", "f.yml")
    assert isinstance(node, Mapping)
    key, value = node.entries["a"]
    assert (key.place, value.place) == (Place(1, 1), Place(2, 3))
    assert isinstance(value, Sequence)
    assert [item.place for item in value.items] == [Place(2, 5), Place(3, 5)]


def test_columns_count_characters_not_bytes() -> None:
    node = compose("{눈치: x}", "f.yml")
    assert isinstance(node, Mapping)
    assert node.entries["눈치"][1].place == Place(1, 6)


def test_a_key_twice_is_refused_at_the_second() -> None:
    assert refusal("a: 1\nb: 2\na: 3\n") == 'f.yml:3:1: "a" stands here twice, first in line 1: remove one of the two'
    assert "twice" in refusal("a: 1\n'a': 3\n")


def test_a_key_must_be_text() -> None:
    assert refusal("{[a]: 1}").startswith("f.yml:1:2: a key must be text")


def test_a_second_document_is_refused() -> None:
    assert refusal("a: 1\n---\nb: 1\n").startswith("f.yml:2:1: a second document begins here")
    assert composed("---\na: 1\n...\n") == {"a": "1"}


def test_aliases_stand_for_what_they_name() -> None:
    assert composed("a: &x [1, 2]\nb: *x\n") == {"a": ["1", "2"], "b": ["1", "2"]}
    assert composed("- &x a\n- &x b\n- *x\n") == ["a", "b", "b"]
    assert "define &nobody before it" in refusal("a: *nobody")
    assert "part of" in refusal("a: &x [*x]")
    assert "part of" in refusal("a: &x\n  b: *x")


def test_merge_keys_fill_in_what_is_not_there() -> None:
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n"
    assert composed(f"{text}x:\n  b: own\n  <<: *base\n")["x"] == {"b": "own", "a": "1"}  # type: ignore[index] # a mapping
    assert composed(f"{text}x:\n  <<: *base\n  b: own\n")["x"] == {"b": "own", "a": "1"}  # type: ignore[index] # a mapping
    assert composed(f"{text}x:\n  <<: [*more, *base]\n")["x"] == {"a": "1", "b": "3", "c": "4"}  # type: ignore[index] # a mapping
    assert composed('{"<<": 1}') == {"<<": "1"}
    assert "<< takes a mapping" in refusal("a: {<<: 5}")


def test_aliases_that_multiply_are_refused_before_they_do() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases expand to more than" in refusal("\n".join(lines))


def test_too_many_aliases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "ALIASES_MAX", 3)
    assert composed("[&x a, *x, *x, *x]") == ["a"] * 4
    assert "more than 3 aliases" in refusal("[&x a, *x, *x, *x, *x]")


def test_deep_nesting_is_refused_not_a_crash() -> None:
    assert "nested deeper" in refusal("[" * 500 + "]" * 500)
    assert "nested deeper" in refusal("\n".join("  " * depth + "a:" for depth in range(300)))


def test_a_document_of_unreasonable_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "DOCUMENT_CHARACTERS_MAX", 10)
    assert refusal("a: " + "x" * 10) == "f.yml: larger than 10 characters: split it"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a:\n\t- b\n", "f.yml:2:1: not valid YAML"),
        ("a: b: c\n", "f.yml:1:5: not valid YAML: mapping values are not allowed"),
        ("a: [1, 2\nb: 3\n", "f.yml:2:"),
        ("a: 'x\n", "f.yml:2:1: not valid YAML"),
        ("a: @x\n", "f.yml:1:4: not valid YAML"),
        ("a: \x00\n", "f.yml: not YAML text"),
        ("a: !!python/object:os.system x", "f.yml:1:4: unknown tag"),
        ("a: !local {}", "f.yml:1:4: unknown tag"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text: str, start: str) -> None:
    message = refusal(text)
    assert message.startswith(start)
    assert "\n" not in message


@given(st.text("ab:-[]{}&*<>|!'\"#\n\t ,?%@`~01", max_size=60))
def test_any_text_is_a_tree_or_a_settings_error(text: str) -> None:
    try:
        node = compose(text, "f.yml")
    except SettingsError:
        return
    assert node is None or isinstance(texts(node), (str, list, dict))


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="the conformance data are not beside this checkout")
def test_every_good_file_of_prometheus_is_yaml_to_us() -> None:
    files = sorted(CONFORMANCE.glob("prometheus-config/**/*.good.yml")) + sorted(
        CONFORMANCE.glob("alertmanager-config/*.yml")
    )
    assert len(files) > 60
    for file in files:
        compose(file.read_text(), str(file))


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="the conformance data are not beside this checkout")
def test_the_duplicate_section_of_prometheus_is_refused() -> None:
    file = CONFORMANCE / "prometheus-config" / "section_key_dup.bad.yml"
    with pytest.raises(SettingsError, match="stands here twice"):
        compose(file.read_text(), str(file))
