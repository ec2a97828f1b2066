"""Features and functions of the command line."""

from pathlib import Path

import pytest

from nunchi.kit.settings import SettingsError
from nunchi.query.functions import FunctionError
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.features import EXPERIMENTAL_FUNCTIONS, split_features
from nunchi.server.flags import ServerFlags
from nunchi.server.language import LanguageError, load_functions, parser_settings

FILE = """
import nunchi

@nunchi.function(name="{name}")
def half(values, times):
    return values / 2
"""


def test_features_have_the_names_of_prometheus():
    features = split_features(
        ["promql-experimental-functions,promql-binop-fill-modifiers", "promql-delayed-name-removal"]
    )
    settings = parser_settings(features)
    assert (settings.experimental_functions, settings.fill_modifiers, settings.extended_selectors) == (
        True,
        True,
        False,
    )
    assert not parser_settings(split_features([])).experimental_functions


def test_functions_come_out_of_files(tmp_path: Path):
    for name in ("halved", "divided"):
        (tmp_path / f"{name}.py").write_text(FILE.format(name=name))
    paths = [tmp_path / "halved.py", tmp_path / "divided.py"]
    assert [function.name for function in load_functions(paths)] == ["halved", "divided"]
    with pytest.raises(FunctionError, match="two Python functions are called halved"):
        load_functions([paths[0], paths[0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be run: ZeroDivisionError"),
        ("x = 1", "has no function"),
        ("def", "cannot be run: SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str):
    (tmp_path / "odd.py").write_text(text)
    with pytest.raises(LanguageError, match=f"odd.py: {message}"):
        load_functions([tmp_path / "odd.py"])


def test_flags_are_shown_as_they_are_typed():
    shown = ServerFlags(enable_feature=("a", "b"), query_functions=(Path("f.py"),)).shown()
    assert (shown["enable-feature"], shown["query.functions"]) == ("a,b", "f.py")


def test_rules_may_use_the_features_of_the_flags(tmp_path: Path):
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: x, expr: 'sort_by_label(up, \"job\")'}]}]")
    file = tmp_path / "prometheus.yml"
    file.write_text("rule_files: [rules.yml]")
    loader = ConfigurationLoader(file, None, {})
    assert len(loader.load(parser_settings(split_features([EXPERIMENTAL_FUNCTIONS]))).prometheus.rule_files) == 1
    with pytest.raises(SettingsError, match="experimental and not enabled"):
        loader.load()
