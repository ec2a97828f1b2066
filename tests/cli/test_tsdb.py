"""`nunchi tsdb` as its user types it: over real folders, in processes of their own where signals and exit codes count."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import FILE_MODE
from nunchi.model.labels import Labels
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.folder import check_folder, look, open_to_write
from nunchi.server.world import World
from nunchi.testing.contracts.store import LOAD_A, LOAD_B, UP, append, samples_of
from nunchi.tsdb.database import Database

NOW_MS = SystemClock().now_ms() // 1000 * 1000
PROGRAM = [sys.executable, "-c", "import sys; sys.argv[0] = 'nunchi'; from nunchi.cli import main; main()", "tsdb"]


def run(*words: object, code: int = 0) -> tuple[str, str]:
    """What a command prints on both streams; it must end with this code."""
    done = subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def everything(path: Path) -> dict[Labels, list[tuple[int, float]]]:
    querier = look(path, World()).querier()
    try:
        return samples_of(querier.select((), -(2**62), 2**62))
    finally:
        querier.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    with open_to_write(path, World()) as database:
        for series in (UP, LOAD_A, LOAD_B):
            append(database, {series: [(NOW_MS - 1000 * i, float(i)) for i in range(1999, -1, -1)]})
    return path


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def only(folder: Path, suffix: str) -> Path:
    [found] = [path for path in folder.rglob(f"*{suffix}") if path.is_file()]
    return found


def test_list_names_sealed_files_for_people_and_programs(folder: Path) -> None:
    head, row = run("list", folder)[0].splitlines()
    assert head.split() == ["file", "from", "to", "series", "samples", "bytes"]
    assert (row.split()[:2], row.split()[4:6]) == (["run", "1"], ["3", "6000"])
    [listed] = json.loads(run("list", folder, "--json")[0])
    assert (listed["name"], listed["samples"], listed["max_time_ms"]) == ("run 1", 6000, NOW_MS)


def test_analyze_counts_labels_churn_and_bytes(folder: Path) -> None:
    with open_to_write(folder, World()) as database:
        append(database, {Labels.of("load1", instance="c"): [(NOW_MS, 1.0)]})
    found = json.loads(run("analyze", folder, "--json")[0])
    labels = found["labels"]
    assert (labels["series"], found["samples"], labels["pairs"]) == (4, 6001, 6)
    assert labels["metrics"] == [["load1", 3], ["up", 1]]
    assert labels["label_values"][:2] == [["instance", 3], ["__name__", 2]]
    assert labels["label_pairs"][0] == ["__name__=load1", 3]
    assert [(file["series"], file["fresh"]) for file in found["churn"]] == [(3, 3), (1, 1)]
    usage = {one["name"]: one for one in found["usage"]}
    assert usage["load1"]["samples"] == 4001
    assert 0 < usage["up"]["bytes"] < 2000 * 16
    narrowed = ("--match", 'load1{instance=~"a|b"}', "--match", "load1", "--limit", "1")
    some = json.loads(run("analyze", folder, "--json", *narrowed)[0])["labels"]
    assert (some["series"], some["metrics"], len(some["label_pairs"])) == (3, [["load1", 3]], 1)
    text = run("analyze", folder)[0]
    assert text.startswith("4 series, 6001 samples, 6 label pairs\n")
    assert "bytes a sample" in text


def test_what_is_dumped_may_be_narrowed(folder: Path) -> None:
    lines = run("dump", folder, "--match", "up", "--min-time", NOW_MS / 1000 - 2, "--max-time", NOW_MS / 1000 - 1)[0]
    seconds = NOW_MS // 1000
    assert lines.splitlines() == [
        f'up{{instance="a",job="node"}} 2 {seconds - 2}.000',
        f'up{{instance="a",job="node"}} 1 {seconds - 1}.000',
    ]
    assert "write a selector" in run("dump", folder, "--match", "up{", code=2)[1]
    assert "--min-time is after --max-time" in run("dump", folder, "--min-time", 2, "--max-time", 1, code=2)[1]
    assert "write Unix seconds" in run("dump", folder, "--min-time", "noon", code=2)[1]


def test_a_reader_that_has_enough_ends_a_dump_in_silence(folder: Path) -> None:
    done = subprocess.run(
        f"{' '.join(map(repr, PROGRAM))} dump {folder} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_an_export_comes_in_again_sample_for_sample(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "all.om"
    assert "6000 samples" in run("export", folder, "-o", text)[1]
    assert run("export", folder)[0] == text.read_text()
    assert text.read_text().endswith("# EOF\n")
    printed = run("import", "openmetrics", text, "--into", tmp_path / "other")[0]
    assert printed.startswith(f"{tmp_path / 'other'}: 6000 samples came in, from ")
    assert everything(tmp_path / "other") == everything(folder)
    again = run("import", "openmetrics", text, "--into", tmp_path / "other")
    assert (again[0], again[1]) == (printed, "")
    assert "6000" in run("list", tmp_path / "other")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up 1 1\nup one 2\n# EOF\n", ":2: "),
        ("up 1\n# EOF\n", ":1: the sample has no timestamp: write one behind its value"),
        ("up 1 1\n", ":1: the file ends without # EOF"),
        ("up 1 1\n# EOF\nup 1 2\n", ":3: text follows after # EOF"),
        ("up 1 1\nup {count:1,sum:1} 2\n# EOF\n", ":2: the histogram has no schema"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_number(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.om"
    path.write_text(text)
    assert f"{path}{message}" in run("import", "openmetrics", path, "--into", tmp_path / "data", code=2)[1]


def test_where_no_file_says_what_counts_the_cure_is_named(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    for command in ("list", "dump", "export", "analyze"):
        said = run(command, folder, code=1)[1]
        assert (
            f"manifest.json is missing, and only it says which of the files here count: `nunchi tsdb repair {folder}`"
            in said
        )
    assert "lists 0 blocks and 1 runs now" in run("repair", "--yes", folder)[0]
    assert len(everything(folder)) == 3


def test_packed_text_and_text_from_a_pipe_come_in(folder: Path, tmp_path: Path) -> None:
    text = run("export", folder)[0]
    packed = tmp_path / "all.om.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert ": 6000 samples came in" in run("import", "openmetrics", packed, "--into", tmp_path / "one")[0]
    command = [*PROGRAM, "import", "openmetrics", "/dev/stdin", "--into", str(tmp_path / "two")]
    subprocess.run(command, input=text, text=True, check=True)
    assert everything(tmp_path / "one") == everything(tmp_path / "two") == everything(folder)
    packed.write_bytes(packed.read_bytes()[:-1000])
    printed = run("import", "openmetrics", packed, "--into", tmp_path / "three", code=2)
    assert f"{packed}: it cannot be read to its end" in printed[1]


def test_nothing_is_said_of_samples_where_none_could_come_in(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "a.om"
    text.write_text(f"up 1 {NOW_MS // 1000 + 3600}\n# EOF\n")
    with open_to_write(folder, World()):
        assert run("import", "openmetrics", text, "--into", folder, code=1)[0] == ""
    said = run("import", "openmetrics", text, "--into", folder)
    assert said[0] == f"{folder}: 0 samples came in\n"
    assert "rejected: 1 samples, too_far_in_future, as up at " in said[1]


def test_what_is_no_data_folder_is_named_and_nothing_is_made(tmp_path: Path, folder: Path) -> None:
    file, empty, theirs = tmp_path / "file", tmp_path / "empty", tmp_path / "theirs"
    file.write_text("x")
    empty.mkdir()
    (theirs / "chunks_head").mkdir(parents=True)
    (theirs / "wal").mkdir()
    for path, message in (
        (tmp_path / "nowhere", "does not exist: name the folder"),
        (file, "is a file: name the folder"),
        (empty, "is no data folder of nunchi"),
        (theirs, "is a data folder of Prometheus: bring it in with"),
        (folder / "head", "is no data folder of nunchi"),
        (folder / "blocks", "is a part of a data folder: name the folder above it"),
    ):
        with pytest.raises(UnfitFolder, match=re.escape(f"{path} {message}")):
            check_folder(path)
    for command in ("list", "analyze", "verify", "dump", "export", "repair"):
        assert f"{empty} is no data folder" in run(command, empty, code=1)[1]
    assert f"{empty} is no data folder" in run("snapshot", empty, tmp_path / "copy", code=1)[1]
    assert list(empty.iterdir()) == []
    assert not (tmp_path / "copy").exists()
    text = tmp_path / "a.om"
    text.write_text("# EOF\n")
    assert "is a data folder of Prometheus" in run("import", "openmetrics", text, "--into", theirs, code=1)[1]
    assert "is a file" in run("import", "openmetrics", text, "--into", file, code=1)[1]
    for source, message in (
        (empty, "holds nothing of Prometheus"),
        (file, "is a file"),
        (tmp_path / "no", "does not exist"),
    ):
        assert message in run("import", "prometheus", source, "--into", tmp_path / "made", code=1)[1]
    assert "is a folder: name a file" in run("import", "openmetrics", empty, "--into", tmp_path / "made", code=1)[1]
    assert not (tmp_path / "made").exists()


def test_half_a_block_of_prometheus_is_named(tmp_path: Path) -> None:
    block = tmp_path / "01M7Y19SY4G8RW3JS7VGA5MQFC"
    block.mkdir()
    meta = {"version": 1, "minTime": 0, "maxTime": 7200000, "ulid": block.name}
    (block / "meta.json").write_text(json.dumps(meta))
    target = tmp_path / "data"
    assert "is no whole block: index is missing" in run("import", "prometheus", block, "--into", target, code=1)[1]
    (block / "index").write_bytes(b"short")
    (block / "chunks").mkdir()
    printed = run("import", "prometheus", block, "--into", target, code=1)[1]
    assert f"{block / 'index'}: 5 bytes are too few for an index; the samples of this block are lost" in printed
    (block / "meta.json").write_text("{")
    assert f"{block / 'meta.json'} cannot be read" in run("import", "prometheus", block, "--into", target, code=1)[1]


def test_a_snapshot_is_a_data_folder(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run("snapshot", folder, copy)[0].startswith(f"{copy}: ")
    assert everything(copy) == everything(folder)
    assert "every checksum holds" in run("verify", copy)[0]
    assert "exists already" in run("snapshot", folder, copy, code=1)[1]
    assert "lies inside" in run("snapshot", folder, folder / "copy", code=1)[1]


def test_beside_a_writer_reading_works_and_writing_is_refused(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "a.om"
    text.write_text("up 1 1\n# EOF\n")
    damage(only(folder, ".run"), 40)
    with open_to_write(folder, World()) as database:
        append(database, {LOAD_A: [(NOW_MS + 1000, 7.0)]})  # stands in the log alone
        assert "7" in run("dump", folder, "--match", 'load1{instance="a"}', "--min-time", NOW_MS / 1000 + 1)[0]
        run("list", folder)
        run("verify", folder, code=1)
        run("snapshot", folder, tmp_path / "copy")
        for command in (("import", "openmetrics", text, "--into", folder), ("repair", "--yes", folder)):
            printed = run(*command, code=1)[1]
            assert f"{folder}: in use by process {os.getpid()}" in printed
    assert "7" in run("dump", tmp_path / "copy", "--match", 'load1{instance="a"}', "--min-time", NOW_MS / 1000 + 1)[0]


def test_repair_tells_first_and_then_keeps_what_is_readable(folder: Path) -> None:
    damage(only(folder, ".run"), 40)
    printed = run("repair", folder)[0]
    assert "the page at byte 8 fails its checksum" in printed
    assert "nothing was changed" in printed
    run("verify", folder, code=1)
    assert "are in run 3 now" in run("repair", "--yes", folder)[0]
    assert (folder / "damaged" / "head-00000001.run").is_file()
    assert "every checksum holds" in run("verify", folder)[0]
    assert run("repair", folder)[0] == f"{folder}: nothing is damaged\n"


def test_a_benchmark_measures_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bench"
    found = json.loads(run("bench", "write", "--series", 700, "--samples", 70_000, "--json", path)[0])
    assert (found["series"], found["samples"]) == (700, 70_000)
    assert found["samples_per_cpu_second"] > 10_000
    assert 0 < found["bytes"] < 70_000 * 16
    assert not path.exists()
    path.mkdir()
    (path / "mine").write_text("x")
    assert "exists: name a folder" in run("bench", "write", path, code=1)[1]
    assert (path / "mine").is_file()


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A text whose import takes some seconds."""
    path = tmp_path / "large.om"
    with path.open("w") as file:
        for series in range(6000):
            seconds = NOW_MS // 1000 - 400
            file.write("".join(f'many{{number="{series}"}} {step} {seconds + step}\n' for step in range(400)))
        file.write("# EOF\n")
    yield path
    path.unlink()


def test_an_interrupted_import_is_finished_by_running_it_again(large: Path, tmp_path: Path) -> None:
    target = tmp_path / "data"
    process = subprocess.Popen(
        [*PROGRAM, "import", "openmetrics", str(large), "--into", str(target)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not list(target.glob("wal/*.segment")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "run it again to bring in the rest" in printed
    run("verify", target)
    before = everything(target)
    assert "2400000 samples came in" in run("import", "openmetrics", large, "--into", target)[0]
    found = everything(target)
    assert len(found) == 6000
    assert all(len(samples) == 400 for samples in found.values())
    assert all(found[labels][: len(samples)] == samples for labels, samples in before.items())


def test_a_server_opens_what_was_brought_in(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    with open_to_write(tmp_path / "copy", World()) as database:
        assert isinstance(database, Database)
        assert database.statistics().samples == 6000
    assert (tmp_path / "copy" / "manifest.json").stat().st_mode & 0o777 == FILE_MODE
