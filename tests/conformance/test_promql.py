"""Prometheus's own PromQL scripts: all of them on the obvious evaluator, and on the engine over the memory store what it has.

What the engine does not evaluate it must refuse with `Unsupported`, naming one of the features below; any other difference
fails. The evals that are open are printed; `-rP` shows them.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nunchi.model.histogram import Histogram
from nunchi.model.labels import Labels
from nunchi.model.matchers import all_match
from nunchi.query.engine import EngineSettings
from nunchi.query.errors import Unsupported
from nunchi.query.syntax import EVERYTHING, parse
from nunchi.query.syntax.nodes import VectorSelector, walk
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import SETTINGS, EngineSetting
from nunchi.testing.script_settings import ScalarSetting
from nunchi.testing.script_text import Eval, parse_script
from nunchi.testing.scripts import Answer, Failure, LoadedSeries, run_files

SCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "promql"
FILES = sorted(SCRIPTS.glob("*.test"))
NOW_SECONDS = 10_000_000.0
RETENTION_MS = 10**15

# What the engine refuses, by the name in its error.
OPEN_FEATURES = {
    "reading native histograms",
    "reading start timestamps",
    *(f"the function {name}" for name in ("info", "start_timestamp")),
    *(f"the function histogram_{name}" for name in ("avg", "count", "stddev", "stdvar", "sum")),
    *("the operator </", "the operator >/"),
    *("the anchored modifier", "the smoothed modifier", "smoothed on an instant selector"),
}

pytestmark = pytest.mark.skipif(not FILES, reason=f"the scripts are not at {SCRIPTS}")


class FloatsOnly:
    """The engine over a store of plain samples. Series that such a store cannot hold are kept out, and every query that
    would read one of them is refused.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.inner = EngineSetting(MemoryStore(VirtualClock(NOW_SECONDS), retention_ms=RETENTION_MS), settings)
        self.kept_out: dict[Labels, str] = {}

    def append(self, series: Sequence[LoadedSeries]) -> None:
        plain = []
        for one in series:
            if any(isinstance(sample.value, Histogram) for sample in one.samples):
                self.kept_out[one.labels] = "reading native histograms"
            elif any(sample.start_timestamp_ms for sample in one.samples):
                self.kept_out[one.labels] = "reading start timestamps"
            else:
                plain.append(one)
        self.inner.append(plain)

    def instant(self, expression: str, at_ms: int) -> Answer:
        self.refuse(expression)
        return self.inner.instant(expression, at_ms)

    def range(self, expression: str, start_ms: int, end_ms: int, step_ms: int) -> Answer:
        self.refuse(expression)
        return self.inner.range(expression, start_ms, end_ms, step_ms)

    def refuse(self, expression: str) -> None:
        for node in walk(parse(expression, EVERYTHING)):
            if isinstance(node, VectorSelector):
                for labels, reason in self.kept_out.items():
                    if all_match(node.matchers, labels):
                        raise Unsupported(reason)


def feature_of(failure: Failure) -> str:
    """The feature that an eval waits for; empty where it simply failed."""
    head, _, rest = failure.given.partition(": ")
    return rest.partition(" is not supported")[0] if head == "Unsupported" else ""


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


@pytest.mark.parametrize("rewrites", [True, False], ids=["rewritten", "as written"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_engine_passes_every_eval_or_names_what_it_lacks(path: Path, rewrites: bool) -> None:
    report = run_files([path], lambda: FloatsOnly(replace(SETTINGS, rewrites=rewrites)))
    waiting = [failure for failure in report.failures if feature_of(failure)]
    wrong = [failure for failure in report.failures if not feature_of(failure)]
    sys.stdout.write(f"{report.passed} passed, {len(waiting)} open: {dict(Counter(map(feature_of, waiting)))}\n")
    for failure in waiting:
        sys.stdout.write(f"{path.name}:{failure.line}: {failure.expression} ({feature_of(failure)})\n")
    assert not wrong, "\n".join(map(str, wrong))
    assert {feature_of(failure) for failure in waiting} <= OPEN_FEATURES
