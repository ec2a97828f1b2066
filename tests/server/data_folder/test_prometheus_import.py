"""Data folders that a real Prometheus wrote, brought in: every sample as its API answers it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.server.data_folder.prometheus import by_labels, live

from nunchi.kit.clock import SystemClock
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.rendering import render_value
from nunchi.server.data_folder.folder import look, open_to_write
from nunchi.server.data_folder.importing import LATE_SECONDS_MAX, ImportReport, import_samples
from nunchi.server.data_folder.progress import Silence
from nunchi.server.data_folder.prometheus_source import PrometheusSource, find_blocks
from nunchi.server.retention import UNBOUNDED_MS
from nunchi.server.world import World
from nunchi.storage.memory import MemoryStore

EVERYTHING = '{__name__=~".+"}[15h]'

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], int]:
    return live(tmp_path_factory.mktemp("prometheus"))


def bring_in(path: Path, target: Path) -> ImportReport:
    world, report = World(), ImportReport()
    with open_to_write(target, world) as database:
        import_samples(database, PrometheusSource(world.disk, path), Silence(), report)
    return report


def everything(target: Path, at_ms: int) -> dict[str, Any]:
    value = Engine(EngineSettings()).instant(look(target, World()).querier, EVERYTHING, at_ms).value
    return by_labels(json.loads(render_value(value)))


def remember(path: Path) -> MemoryStore:
    """All samples of a source in the obvious store."""
    store = MemoryStore(SystemClock(), UNBOUNDED_MS)
    for batch in PrometheusSource(World().disk, path).batches(Silence()):
        appender = store.appender()
        result = appender.append(replace(batch, late_max_seconds=LATE_SECONDS_MAX))
        assert not result.rejected, result.examples
        appender.commit()
    return store


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for labels, series in expected.items():
        for key in series:
            for own, theirs in zip(found[labels][key], series[key], strict=True):
                assert own == theirs, labels


def test_every_sample_is_read_from_the_files(lived: Any) -> None:
    folder, expected, now_ms = lived
    value = Engine(EngineSettings()).instant(remember(folder).querier, EVERYTHING, now_ms).value
    same(by_labels(json.loads(render_value(value))), expected)


def test_every_sample_of_a_data_folder_is_as_prometheus_answers_it(lived: Any, tmp_path: Path) -> None:
    folder, expected, now_ms = lived
    assert find_blocks(folder)
    assert any((folder / "wal").iterdir())
    report = bring_in(folder, tmp_path)
    assert report.remarks == []
    assert report.rejected == {}
    same(everything(tmp_path, now_ms), expected)


def test_bringing_in_the_same_again_is_silent(lived: Any, tmp_path: Path) -> None:
    folder, _, now_ms = lived
    first = bring_in(folder, tmp_path)
    before = everything(tmp_path, now_ms)
    again = bring_in(folder, tmp_path)
    assert (again.accepted, again.rejected) == (first.accepted, first.rejected)
    assert everything(tmp_path, now_ms) == before


def test_one_block_alone_and_a_folder_of_blocks_are_sources(lived: Any, tmp_path: Path) -> None:
    folder, expected, now_ms = lived
    (tmp_path / "blocks").mkdir()
    blocks = find_blocks(folder)
    for block in blocks:
        (tmp_path / "blocks" / block.name).symlink_to(block)
    parts = [bring_in(block, tmp_path / "one by one") for block in blocks]
    whole = bring_in(tmp_path / "blocks", tmp_path / "whole")
    assert sum(part.accepted for part in parts) == whole.accepted > 0
    found = everything(tmp_path / "whole", now_ms)
    assert everything(tmp_path / "one by one", now_ms) == found
    labels = '{"__name__": "jitter", "instance": "a"}'
    own = found[labels]["values"]
    assert own == expected[labels]["values"][: len(own)]


def test_a_damaged_chunk_costs_its_samples_and_is_named(lived: Any, tmp_path: Path) -> None:
    folder, _, _ = lived
    block = tmp_path / "block"
    shutil.copytree(find_blocks(folder)[0], block)
    whole = bring_in(block, tmp_path / "whole")
    segment = block / "chunks" / "000001"
    content = bytearray(segment.read_bytes())
    content[20] ^= 0xFF
    segment.write_bytes(content)
    report = bring_in(block, tmp_path / "target")
    [remark] = report.remarks
    assert "the chunk at byte 8 of segment 000001 fails its checksum; 1 chunks of 1 series are lost" in remark
    assert whole.accepted - 240 <= report.accepted < whole.accepted


def test_a_damaged_index_costs_its_block_and_is_named(lived: Any, tmp_path: Path) -> None:
    folder, _, _ = lived
    block = tmp_path / "block"
    shutil.copytree(find_blocks(folder)[0], block)
    content = bytearray((block / "index").read_bytes())
    for place in (10, len(content) // 2, len(content) - 30):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        (block / "index").write_bytes(damaged)
        report = bring_in(block, tmp_path / f"target{place}")
        assert report.accepted == 0 or place == len(content) // 2  # a postings list is not read
        if not report.accepted:
            assert report.remarks[0].startswith(f"{block / 'index'}: ")


def test_a_damaged_log_costs_what_follows_in_its_file(lived: Any, tmp_path: Path) -> None:
    folder, _, _ = lived
    copy = tmp_path / "data"
    shutil.copytree(folder, copy)
    whole = bring_in(copy, tmp_path / "whole")
    segments = [path for path in (copy / "wal").iterdir() if path.name.isdigit()]
    segment = max(segments, key=lambda path: len(path.read_bytes().rstrip(b"\0")))
    content = bytearray(segment.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 0xFF
    shutil.rmtree(copy / "chunks_head")
    segment.write_bytes(content)
    report = bring_in(copy, tmp_path / "target")
    assert 0 < report.accepted < whole.accepted
    assert any(str(segment) in remark and "what follows it in this file is lost" in remark for remark in report.remarks)
