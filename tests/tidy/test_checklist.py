"""The checklist against the files: what it says is done is there, and the tests that it names exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKLIST = ROOT / "docs" / "seeds-checklist.md"
DECISIONS = ROOT / "docs" / "decisions" / "0003-left-out-and-later.md"
UNDONE = ("later", "decided against")


def rows() -> list[list[str]]:
    """Number, feature, places, tests of every row."""
    lines = [line for line in CHECKLIST.read_text().splitlines() if re.match(r"\| \d", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def functions_of(path: Path) -> set[str]:
    """Names of the test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_place_named_is_there() -> None:
    done = [row for row in rows() if row[2] not in UNDONE]
    assert [row[0] for row in done if not quoted(row[2])] == []
    assert [place for row in done for place in quoted(row[2]) if not (ROOT / place).exists()] == []


def test_every_row_that_is_done_names_tests_that_exist() -> None:
    missing = []
    for number, _, place, shown in rows():
        named = quoted(shown)
        if place not in UNDONE and not named:
            missing.append(f"{number}: no test")
        for one in named:
            path, _, name = one.partition("::")
            if not (ROOT / path).is_file() or name not in functions_of(ROOT / path):
                missing.append(f"{number}: {one}")
    assert missing == []


def test_what_is_not_done_has_its_reason() -> None:
    reasons = {
        number.strip()
        for line in DECISIONS.read_text().splitlines()
        if re.match(r"\| \d", line)
        for number in line.split("|")[1].split(",")
    }
    assert {row[0] for row in rows() if row[2] in UNDONE} == reasons


def test_rows_are_counted_in_order_and_once() -> None:
    numbers = [int(row[0]) for row in rows()]
    assert numbers == sorted(set(numbers))
