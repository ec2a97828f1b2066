"""Patterns of file names: Go's language, and what exists under them."""

from pathlib import Path

import pytest

from nunchi.kit.path_patterns import check_pattern, find_paths, has_wildcard

NAMES = ("a.yml", "b.yml", "B.yml", ".hidden.yml", "[.yml", "^.yml", "é.yml", "a*.yml")


@pytest.fixture(name="folder")
def folder_with_names(tmp_path: Path) -> Path:
    """A folder whose own name looks like a pattern."""
    folder = tmp_path / "site [a]"
    for name in (*NAMES, "deep/c.yml", "deeper/c.yml"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.yml", ["a.yml"]),
        ("absent.yml", []),
        ("absent/*.yml", []),
        ("*.yml", sorted(NAMES)),  # a name that begins with a dot is one like the others
        ("?.yml", ["B.yml", "[.yml", "^.yml", "a.yml", "b.yml", "é.yml"]),
        ("[ab].yml", ["a.yml", "b.yml"]),
        ("[^ab].yml", ["B.yml", "[.yml", "^.yml", "é.yml"]),
        ("[!ab].yml", ["a.yml", "b.yml"]),  # not a shell: the exclamation mark stands for itself
        ("[a-z].yml", ["a.yml", "b.yml"]),
        ("[z-a].yml", []),
        (r"[\^].yml", ["^.yml"]),
        (r"\[.yml", ["[.yml"]),
        (r"a\*.yml", ["a*.yml"]),
        ("deep*/c.yml", ["deep/c.yml", "deeper/c.yml"]),
        ("./deep/../a.yml", ["deep/../a.yml"]),
        ("**/c.yml", ["deep/c.yml", "deeper/c.yml"]),
        ("{a,b}.yml", []),
    ],
)
def test_a_pattern_means_what_it_means_in_go(folder: Path, pattern: str, names: list[str]) -> None:
    assert find_paths(pattern, folder) == [folder / name for name in names]


def test_an_absolute_pattern_needs_no_folder(folder: Path) -> None:
    escaped = str(folder).replace("[", r"\[")
    assert find_paths(f"{escaped}/a*.yml", Path("/absent")) == [folder / "a*.yml", folder / "a.yml"]


@pytest.mark.parametrize("pattern", ["[", "a[", "[]", "[]a]", "[^]", "[-]", "[a-", "[a-]", "[x", "a/[/b", "\\", "[\\"])
def test_what_is_malformed_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        check_pattern(pattern)
    with pytest.raises(ValueError, match="is no pattern"):
        find_paths(pattern, tmp_path)


def test_what_means_only_itself_has_no_wildcard() -> None:
    assert [text for text in ("a.yml", "a]b", "*", "a?", "[a]", "a\\b") if has_wildcard(text)] == [
        "*", "a?", "[a]", "a\\b",
    ]  # fmt: skip
