"""Results as tables of other libraries: the same rows in each, and a clear word where one is not installed."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from nunchi.kit.errors import WorldError
from nunchi.model.labels import Labels
from nunchi.query.frames.answer import Answer
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.testing.engine_setting import EngineSetting
from nunchi.testing.script_loading import LoadedSample, LoadedSeries
from nunchi.testing.series_notation import parse_histogram

AT_MS = 60_000
STARTS = 30_000


@pytest.fixture
def setting() -> EngineSetting:
    store = MemoryStore(VirtualClock(1000.0))
    append(
        store,
        {
            Labels.of("load", host="a", value="odd"): [(STARTS, 1.0), (AT_MS, np.inf)],
            Labels.of("load", host="b"): [(AT_MS, 2.5)],
        },
    )
    setting = EngineSetting(store)
    histogram, _ = parse_histogram("schema:0 sum:4 count:3 buckets:[1 2]")
    setting.append([LoadedSeries(Labels.of("mixed", x="1"), (LoadedSample(AT_MS, histogram),))])
    append(store, {Labels.of("mixed", x="2"): [(AT_MS, 7.0)]})
    return setting


def instant(setting: EngineSetting, expression: str) -> Answer:
    return Answer.of(setting.engine.instant(setting.store.querier, expression, AT_MS))


def load(setting: EngineSetting) -> Answer:
    return Answer.of(setting.engine.range(setting.store.querier, "load", STARTS, AT_MS, STARTS))


def pandas_rows(answer: Answer) -> list[dict[str, Any]]:
    frame = answer.to_pandas()
    frame = frame.astype({name: object for name in frame.columns if name != "timestamp"})
    frame = frame.where(frame.notna(), None)
    rows = frame.to_dict("records")
    return [{**row, "timestamp": row["timestamp"].timestamp()} for row in rows]


def polars_rows(answer: Answer) -> list[dict[str, Any]]:
    pytest.importorskip("polars", reason="polars is not installed: pip install 'nunchi[polars]'")
    return [{**row, "timestamp": row["timestamp"].timestamp()} for row in answer.to_polars().to_dicts()]


def arrow_rows(answer: Answer) -> list[dict[str, Any]]:
    return [{**row, "timestamp": row["timestamp"].timestamp()} for row in answer.to_arrow().to_pylist()]


KINDS = {"pandas": pandas_rows, "polars": polars_rows, "arrow": arrow_rows}
LIBRARIES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_has_a_row_a_point(setting: EngineSetting, kind: str):
    common = {"__name__": "load", "host": "a", "label_value": "odd"}
    assert KINDS[kind](load(setting)) == [
        {"timestamp": 30.0, "value": 1.0, **common},
        {"timestamp": 60.0, "value": np.inf, **common},
        {"timestamp": 60.0, "value": 2.5, "__name__": "load", "host": "b", "label_value": None},
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_histograms_are_texts_in_a_column_of_their_own(setting: EngineSetting, kind: str):
    rows = KINDS[kind](instant(setting, "mixed"))
    assert [(row["value"], row["histogram"], row["x"]) for row in rows] == [
        (None, "{count:3, sum:4, (0.5,1]:1, (1,2]:2}", "1"),
        (7.0, None, "2"),
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("expression", "values"), [("1 + 1", [2.0]), ('"text"', ["text"]), ("nothing", [])])
def test_every_kind_of_value_is_a_table(setting: EngineSetting, kind: str, expression: str, values: list[object]):
    assert [row["value"] for row in KINDS[kind](instant(setting, expression))] == values


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_range_vector_have_their_own_times(setting: EngineSetting, kind: str):
    rows = KINDS[kind](instant(setting, 'load{host="a"}[1m]'))
    assert [(row["timestamp"], row["value"]) for row in rows] == [(30.0, 1.0), (60.0, np.inf)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_library_that_is_absent_is_named_with_its_extra(
    setting: EngineSetting, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, LIBRARIES[kind], None)
    message = rf"{LIBRARIES[kind]} is not installed: pip install 'nunchi\[{kind}\]'"
    with pytest.raises(WorldError, match=message):
        KINDS[kind](load(setting)) if kind != "polars" else load(setting).to_polars()


def test_an_answer_knows_its_labels_times_and_remarks(setting: EngineSetting):
    answer = load(setting)
    assert (len(answer), answer.kind, answer.times.tolist()) == (2, "matrix", [STARTS, AT_MS])
    assert [labels["host"] for labels in answer.labels] == ["a", "b"]
    np.testing.assert_array_equal(answer.to_numpy(), [[1.0, np.inf], [np.nan, 2.5]])
    assert repr(answer) == "<matrix of 2 series>"
    warned = instant(setting, "quantile(2, load)")
    assert "quantile value should be between 0 and 1" in warned.warnings[0]
    assert warned.to_arrow().schema.metadata[b"warnings"].decode() == warned.warnings[0]
    assert (instant(setting, "1").labels, instant(setting, "1").times.tolist()) == ([{}], [AT_MS])


def test_importing_answers_loads_no_library():
    code = "import nunchi.query.frames.answer, sys; print({'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
