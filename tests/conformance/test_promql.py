"""Prometheus's own PromQL scripts: every eval passes, on the obvious evaluator and on the engine over the memory store."""

from dataclasses import replace
from pathlib import Path

import pytest

from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import SETTINGS, EngineSetting
from nunchi.testing.script_settings import ScalarSetting
from nunchi.testing.script_text import Eval, parse_script
from nunchi.testing.scripts import run_files

SCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "promql"
FILES = sorted(SCRIPTS.glob("*.test"))
NOW_SECONDS = 10_000_000.0
RETENTION_MS = 10**15

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


def over_memory(rewrites: bool) -> EngineSetting:
    store = MemoryStore(VirtualClock(NOW_SECONDS), retention_ms=RETENTION_MS)
    return EngineSetting(store, replace(SETTINGS, rewrites=rewrites))


@pytest.mark.parametrize("rewrites", [True, False], ids=["rewritten", "as written"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_engine_passes_every_eval(path: Path, rewrites: bool) -> None:
    report = run_files([path], lambda: over_memory(rewrites))
    assert not report.failures, str(report)
    assert report.passed
