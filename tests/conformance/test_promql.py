"""Prometheus's own PromQL scripts: every eval passes, on the obvious evaluator and on the engine, wherever the samples lie."""

from pathlib import Path

import pytest
from tests.conformance.stores import STORES

from nunchi.testing.script_settings import ScalarSetting
from nunchi.testing.script_text import Eval, parse_script
from nunchi.testing.scripts import run_files

SCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "promql"
FILES = sorted(SCRIPTS.glob("*.test"))

pytestmark = pytest.mark.skipif(not FILES, reason=f"the scripts are not at {SCRIPTS}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_obvious_evaluator_passes_every_eval(path: Path) -> None:
    report = run_files([path], ScalarSetting)
    assert not report.failures, str(report)
    assert report.passed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_eval_is_overlooked(path: Path) -> None:
    text = path.read_text()
    written = [number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("eval")]
    assert [command.line for command in parse_script(text, path.name) if isinstance(command, Eval)] == written


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_engine_passes_every_eval(path: Path, name: str) -> None:
    with STORES[name]() as make_setting:
        report = run_files([path], make_setting)
    assert not report.failures, str(report)
    assert report.passed
