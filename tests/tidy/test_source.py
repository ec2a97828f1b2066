"""Tests about the source: what no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "nunchi"
MODULES = sorted(SOURCE.rglob("*.py"))
BAGS = {"util", "utils", "common", "helper", "helpers", "misc", "core", "base", "stuff", "manager", "config"}
LINES_MAX = 600
FUNCTION_LINES_MAX = 90
CLOCK_CALLS = re.compile(
    r"(?<![.\w])(time\.time\(|time\.monotonic\(|datetime\.now\(|datetime\.utcnow\(|random\.random\()"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_lives_in_it(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_no_module_is_a_bag():
    assert [path for path in MODULES if path.stem in BAGS or path.parent.name in BAGS] == []


def test_no_file_hides_a_second_noun():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > LINES_MAX} == {}


def test_no_function_grows_past_reading():
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{path.relative_to(SOURCE)}:{node.name}"] = lines
    assert long == {}


def test_time_and_chance_come_in_by_parameter():
    readers = [
        f"{path.relative_to(SOURCE)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if CLOCK_CALLS.search(line)
    ]
    assert [place for place in readers if not place.startswith("kit/clock.py")] == []


def test_every_kernel_has_its_types_beside_it():
    kernels = SOURCE.rglob("kernels/*.pyx")
    assert [path for path in kernels if not path.with_suffix(".pyi").exists()] == []


def test_no_committed_file_is_large_or_names_a_download_host():
    hosts = re.compile(rb"https?://[a-z0-9.-]*(pypi|pythonhosted|npmjs|debian)[a-z0-9.-]*/")
    for path in tracked_files():
        content = path.read_bytes()
        assert len(content) < 700_000, path
        assert not hosts.search(content), path
