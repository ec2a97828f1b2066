"""`nunchi.kit.settings.yaml_scalars`: what text means, by Go-YAML's rules, with Prometheus as a witness."""

import math
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.peers import find_peer, free_port, running

from nunchi.kit.settings import yaml_scalars
from nunchi.kit.settings.errors import Place
from nunchi.kit.settings.yaml_nodes import Node, Scalar, Sequence, compose


def plain(text: str) -> Scalar:
    return Scalar(Place(1, 1), text, None, is_plain=True)


def quoted(text: str) -> Scalar:
    return Scalar(Place(1, 1), text, None, is_plain=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-17", -17),
        ("+17", 17),
        ("1_000", 1000),
        ("010", 8),
        ("0o10", 8),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0xff", -255),
        ("0b101", 5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        (".Inf", math.inf),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_plain_text_that_looks_like_a_value_is_one(text: str, value: object) -> None:
    found = yaml_scalars.value(plain(text))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["17:00", "1:30:00", "yes", "no", "on", "off", "y", "n", "2024-01-01", "2024-01-01T00:00:00Z", "1h", "0x", "0b2", "nan",
     "inf", "NULL0", "tRue", "1e", "1.2.3", "--1", "+", ".", "1__0a", "٣", "1,000", "<<", "="],
)  # fmt: skip
def test_plain_text_that_yaml_1_1_would_change_stays_text(text: str) -> None:
    assert yaml_scalars.value(plain(text)) == text


def test_not_a_number_is_one() -> None:
    amount = yaml_scalars.number(plain(".nan"))
    assert amount is not None
    assert math.isnan(amount)


@pytest.mark.parametrize("text", ["1", "true", "null", "", "~", ".inf"])
def test_quoted_text_is_always_text(text: str) -> None:
    assert yaml_scalars.value(quoted(text)) == text
    assert yaml_scalars.number(quoted(text)) is None
    assert yaml_scalars.boolean(quoted(text), is_asked=True) is None
    assert not yaml_scalars.is_null(quoted(text))


@pytest.mark.parametrize(("text", "truth"), [("yes", True), ("On", True), ("y", True), ("off", False), ("NO", False)])
def test_words_are_booleans_only_where_one_is_asked_for(text: str, truth: bool) -> None:
    assert yaml_scalars.boolean(plain(text), is_asked=True) is truth
    assert yaml_scalars.boolean(plain(text), is_asked=False) is None


def test_tags_of_the_file_decide() -> None:
    tagged = ["!!str 5", "!!int '5'", '!!float "1.5"', "!!null x", "!!bool 'true'", "!!binary aGk=", "! 7"]
    values = [yaml_scalars.value(_only(compose(f"- {text}", "f"))) for text in tagged]
    assert values == ["5", 5, 1.5, None, True, "hi", "7"]


def test_binary_that_is_none_says_so() -> None:
    scalar = Scalar(Place(1, 1), "%%%", "tag:yaml.org,2002:binary", is_plain=True)
    with pytest.raises(ValueError, match="base64"):
        yaml_scalars.text(scalar)


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_integer_is_read_in_every_base(number: int) -> None:
    sign, digits = ("-", -number) if number < 0 else ("", number)
    for text in (f"{number}", f"{sign}{digits:#x}", f"{sign}{digits:#b}", f"{sign}{digits:#o}", f"{sign}0{digits:o}"):
        assert yaml_scalars.number(plain(text)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_as_it_is_written(number: float) -> None:
    assert yaml_scalars.number(plain(repr(number))) == number


@given(st.text(max_size=30))
def test_any_text_has_a_meaning_and_keeps_its_text(text: str) -> None:
    scalar = plain(text)
    yaml_scalars.value(scalar)
    assert yaml_scalars.text(scalar) in {text, ""}


@given(st.text("0123456789_+-.eExXoObBaAfF", min_size=1, max_size=12))
def test_what_looks_almost_like_a_number_never_raises(text: str) -> None:
    amount = yaml_scalars.number(plain(text))
    assert amount is None or isinstance(amount, (int, float))


NUMBERS = [
    "10",
    "010",
    "08",
    "0x1f",
    "0b11",
    "0o17",
    "1_000",
    "+5",
    "1e3",
    "'5'",
    "5m",
    "yes",
    "17:00",
    "1_",
    "_1",
    "0x",
    "",
    "~",
]
BOOLEANS = ["yes", "on", "y", "N", "No", "true", "TRUE", "tRUE", "1", "'true'", "off", "nO", ""]


@pytest.mark.peer
def test_prometheus_takes_the_same_scalars_as_numbers_and_booleans(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "prometheus.yml"
    file.write_text("")
    url = f"http://127.0.0.1:{port}"
    flags = [f"--config.file={file}", f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with running([find_peer("prometheus"), *flags, "--web.enable-lifecycle"], f"{url}/-/ready", tmp_path / "log"):
        for key, text in [("sample_limit", text) for text in NUMBERS] + [("honor_labels", text) for text in BOOLEANS]:
            file.write_text(f"scrape_configs:\n- job_name: j\n  {key}: {text}\n")
            is_taken_by_prometheus = _reloads(url)
            scalar = _only(compose(f"- {text}", "f"))
            number, truth = yaml_scalars.number(scalar), yaml_scalars.boolean(scalar, is_asked=True)
            is_taken = yaml_scalars.is_null(scalar) or (number if key == "sample_limit" else truth) is not None
            assert is_taken == is_taken_by_prometheus, f"{key}: {text}"


def _only(node: Node | None) -> Scalar:
    assert isinstance(node, Sequence)
    (scalar,) = node.items
    assert isinstance(scalar, Scalar)
    return scalar


def _reloads(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/-/reload", method="POST"), timeout=10):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return False
