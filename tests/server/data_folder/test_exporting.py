"""Export and import: every bit of every sample comes back, and the text is OpenMetrics where samples allow it."""

from pathlib import Path

import numpy as np
import pytest

from nunchi.kit.clock import SystemClock
from nunchi.model.batch import Batch
from nunchi.model.histogram_columns import FLOAT, HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import ABSENT, STALE
from nunchi.server.data_folder.dumping import Request, export
from nunchi.server.data_folder.folder import look, open_to_write
from nunchi.server.data_folder.importing import ImportReport, import_samples
from nunchi.server.data_folder.openmetrics_source import NORMAL_NAN, OpenMetricsSource
from nunchi.server.data_folder.progress import Silence
from nunchi.server.data_folder.series import TIME_MS_MAX, TIME_MS_MIN, metric_names, series_of_metric
from nunchi.server.world import World
from nunchi.storage.contracts import Store
from nunchi.testing.contracts.store import CUSTOM, LATENCY, append
from nunchi.wire.openmetrics import validate

NOW_MS = SystemClock().now_ms() // 1000 * 1000
TIMES = [NOW_MS - 60_000 * step - step for step in range(30, -1, -1)]
METADATA = {
    "requests_total": Metadata(MetricType.COUNTER, 'Requests, "all" of\nthem.', ""),
    "latency_seconds": Metadata(MetricType.HISTOGRAM, "How long.", "seconds"),
    "rpc": Metadata(MetricType.SUMMARY, "", ""),
    "temperature": Metadata(MetricType.GAUGE, "", ""),
    "odd_count": Metadata(MetricType.HISTOGRAM, "A name that looks like a part of another.", ""),
}


def grow(factor: float) -> list[tuple[int, float]]:
    return [(t, factor * n) for n, t in enumerate(TIMES)]


def plain() -> dict[Labels, list[tuple[int, float]]]:
    found = {Labels.of("requests_total", code=code): grow(n + 1) for n, code in enumerate(("200", "500"))}
    for host in ("a", "b"):
        for n, le in enumerate(("0.5", "1.0", "10.0", "+Inf")):
            found[Labels.of("latency_seconds_bucket", host=host, le=le)] = grow(n + 1)
        found[Labels.of("latency_seconds_count", host=host)] = grow(4)
        found[Labels.of("latency_seconds_sum", host=host)] = grow(0.3)
        found[Labels.of("rpc", host=host, quantile="0.5")] = grow(0.1)
        found[Labels.of("rpc", host=host, quantile="0.99")] = grow(0.7)
        found[Labels.of("rpc_count", host=host)] = grow(3)
        found[Labels.of("rpc_sum", host=host)] = grow(1.7)
    values = [0.1, 1e300, 5e-324, -0.0, float("inf"), float("-inf"), 1e21, 123456789.123456789, -1.5e-7]
    found[Labels.of("temperature", text='é "quoted" \\ \n end')] = [(t, values[n % 9]) for n, t in enumerate(TIMES)]
    found[Labels({"__name__": "name with spaces", "label.dots": "x"})] = grow(1)
    found[Labels.of("", only="labels")] = grow(1)
    return found


def histograms(database: Store) -> None:
    layout = Layout.of(Labels.of("native", job="x"), Labels.of("custom", job="x"))
    columns = HistogramColumns.of([LATENCY, CUSTOM, LATENCY, CUSTOM], [True, True, False, False])
    batch = Batch.cells(
        layout, np.array([NOW_MS - 2000, NOW_MS - 2000, NOW_MS - 1000, NOW_MS - 1000], np.int64),
        np.array([0, 1, 0, 1], np.int32), np.full(4, ABSENT), histogram_of=np.arange(4, dtype=np.int32), histograms=columns,
    )  # fmt: skip
    appender = database.appender()
    assert appender.append(batch).rejected == {}
    appender.commit()
    append(database, {Labels.of("native", job="x"): [(NOW_MS, STALE)]})


def everything(store: Store) -> dict[Labels, list[tuple[int, object]]]:
    """Samples as bits, histograms as objects and whether they are of whole numbers."""
    querier = store.querier()
    found: dict[Labels, list[tuple[int, object]]] = {}
    for name in metric_names(querier, [()], TIME_MS_MIN, TIME_MS_MAX):
        for series in series_of_metric(querier, name, [()], TIME_MS_MIN, TIME_MS_MAX):
            cells: list[object] = series.values.view(np.uint64).tolist()
            if series.histogram_of is not None and series.histograms is not None:
                for place, number in enumerate(series.histogram_of.tolist()):
                    if number != FLOAT:
                        histogram = series.histograms.histogram(number)
                        stale = bool(series.histograms.is_stale()[number])
                        cells[place] = "stale" if stale else (histogram, bool(series.histograms.is_integer[number]))
            found[series.labels] = list(zip(series.times.tolist(), cells, strict=True))
    querier.close()
    return found


def exported(folder: Path, *, keeps_staleness: bool = True) -> str:
    parts: list[str] = []
    request = Request([()], TIME_MS_MIN, TIME_MS_MAX, keeps_staleness)
    export(look(folder, World()), request, parts.append, Silence())
    return "".join(parts)


def brought_in(text: str, folder: Path) -> ImportReport:
    file, report = folder.with_suffix(".om"), ImportReport()
    file.write_text(text)
    with open_to_write(folder, World()) as database:
        import_samples(database, OpenMetricsSource([file]), Silence(), report)
    return report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    with open_to_write(path, World()) as database:
        append(database, plain())
        appender = database.appender()
        appender.append(Batch.row(Layout(), NOW_MS, np.zeros(0, np.int32), np.zeros(0), METADATA))
        appender.commit()
    return path


def test_types_are_declared_and_the_text_is_strict_open_metrics(folder: Path) -> None:
    with open_to_write(folder, World()) as database:
        append(database, {Labels.of("temperature", place="x"): [(NOW_MS - 1000, 1.0), (NOW_MS, STALE)]})
    text = exported(folder, keeps_staleness=False)
    lines = [
        line for line in text.splitlines(keepends=True) if "with spaces" not in line and not line.startswith('{only="')
    ]
    assert validate("".join(lines).encode()).samples == sum(len(points) for points in plain().values()) - 62 + 1
    for line in (
        "# TYPE requests counter\n",
        '# HELP requests Requests, \\"all\\" of\\nthem.\n',
        "# TYPE latency_seconds histogram\n",
        "# UNIT latency_seconds seconds\n",
        "# TYPE rpc summary\n",
        "# TYPE temperature gauge\n",
    ):
        assert line in lines


def test_every_bit_comes_back(folder: Path, tmp_path: Path) -> None:
    with open_to_write(folder, World()) as database:
        append(database, {Labels.of("ended"): [(NOW_MS - 1000, NORMAL_NAN), (NOW_MS, STALE)]})
        histograms(database)
    report = brought_in(exported(folder), tmp_path / "other")
    assert report.rejected == {}
    other = look(tmp_path / "other", World())
    assert everything(other) == everything(look(folder, World()))
    assert other.metadata()["requests"] == METADATA["requests_total"]
    assert exported(tmp_path / "other") == exported(folder)


def test_a_text_longer_than_a_piece_is_read_with_its_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nunchi.server.data_folder.openmetrics_source.PIECE_BYTES", 100)
    monkeypatch.setattr("nunchi.server.data_folder.openmetrics_source.BUFFER_CELLS_MAX", 50)
    lines = ["# TYPE h histogram\n"]
    lines += [f'h_bucket{{le="{le}"}} {n} {NOW_MS / 1000 - 99 + n}\n' for le in (1, 2) for n in range(99)]
    brought_in("".join(lines) + "# EOF\n", tmp_path / "data")
    found = everything(look(tmp_path / "data", World()))
    assert [(labels["le"], len(samples)) for labels, samples in sorted(found.items())] == [("1.0", 99), ("2.0", 99)]
