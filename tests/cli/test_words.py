"""Mistakes on the command line: one line with place and cure."""

import subprocess
import sys
from pathlib import Path

import pytest


def nunchi(*words: str, code: int) -> str:
    program = Path(sys.executable).parent / "nunchi"
    done = subprocess.run([program, *words], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stderr.removesuffix("\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve",), "nunchi: there is no command 'serve': did you mean 'server'?"),
        (("frobnicate",), "nunchi: there is no command 'frobnicate': `nunchi --help` lists them"),
        (
            ("server", "--web.listen-address=9290"),
            "nunchi: Invalid value for '--web.listen-address': \"9290\" is not a",
        ),
        (
            ("up", "--receive.pack-listen-address=x"),
            "nunchi: Invalid value for '--receive.pack-listen-address': \"x\" is",
        ),
    ],
)
def test_mistaken_words_are_named_with_a_cure(words: tuple[str, ...], said: str) -> None:
    assert nunchi(*words, code=2).startswith(said)


def test_what_is_not_done_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text("remote_read: [{url: 'http://other/'}]\n")
    said = nunchi("server", f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}", code=2)
    assert said.startswith(f"nunchi: {file}: remote_read: ")


def test_a_token_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    said = nunchi("agent", "join", "--home", str(tmp_path), "--token", f"@{tmp_path / 'token'}", code=1)
    assert said == f"nunchi: read {tmp_path / 'token'}: no such file or directory"


def test_an_agent_that_does_not_run_cannot_be_reloaded(tmp_path: Path) -> None:
    said = nunchi("agent", "reload", "--home", str(tmp_path), code=1)
    assert said == f"nunchi: no agent runs for {tmp_path}: start it with nunchi agent start"


def test_what_nunchi_keeps_beside_its_database_is_no_stranger(tmp_path: Path) -> None:
    samples = tmp_path / "samples.om"
    samples.write_text("# TYPE up gauge\nup 1 1769860800\n# EOF\n")
    data = tmp_path / "data"
    nunchi("tsdb", "import", "openmetrics", str(samples), "--into", str(data), code=0)
    for name in ("records.sqlite", "records.sqlite-wal", "records.sqlite-shm", "mine"):
        (data / name).write_text("")
    (data / "agent").mkdir()
    assert nunchi("tsdb", "verify", str(data), code=0) == "not nunchi's, left alone: mine"


def test_a_server_on_a_damaged_folder_names_the_command_that_mends_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "prometheus.yml").write_text("")
    samples = tmp_path / "samples.om"
    samples.write_text("up 1 1769860800\n# EOF\n")
    nunchi("tsdb", "import", "openmetrics", str(samples), "--into", str(data), code=0)
    manifest = data / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"next_number":', b'"next_number":1'))
    flags = (
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--web.listen-address=127.0.0.1:0",
    )
    assert f"`nunchi tsdb repair {data}`" in nunchi("server", *flags, code=1)
    nunchi("tsdb", "repair", "--yes", str(data), code=0)
    nunchi("tsdb", "verify", str(data), code=0)


def test_every_bad_file_is_named_and_good_ones_are_looked_at(tmp_path: Path) -> None:
    names = ("first.yml", "good.yml", "last.yml")
    for name, text in zip(names, ("foo: 1", "", "bar: 1"), strict=True):
        (tmp_path / name).write_text(text)
    said = nunchi("check", "config", *(str(tmp_path / name) for name in names), code=2)
    assert [line.split(":")[1] for line in said.splitlines()] == [
        f" {tmp_path / name}" for name in (names[0], names[2])
    ]


def test_an_exposition_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "metrics"
    said = nunchi("check", "metrics", str(missing), code=2)
    assert said == f"nunchi: {missing}: cannot be read: no such file or directory"


def test_a_server_that_is_not_there_is_named_with_the_cure() -> None:
    said = nunchi("query", "instant", "up", "--url", "http://127.0.0.1:1", code=1)
    assert said.startswith("nunchi: http://127.0.0.1:1: connection refused: does a server run there? --url")


def test_both_ways_of_asking_for_the_version_agree() -> None:
    program = Path(sys.executable).parent / "nunchi"
    asked = [subprocess.check_output([program, word], text=True).split() for word in ("--version", "version")]
    assert asked[0][:2] == asked[1][:2]


@pytest.mark.parametrize("words", [(), ("query",)])
def test_examples_stand_on_lines_of_their_own(words: tuple[str, ...]) -> None:
    program = Path(sys.executable).parent / "nunchi"
    shown = subprocess.check_output([program, *words, "--help"], text=True)
    examples = [
        line.strip() for line in shown.partition("Examples:")[2].splitlines() if line.strip().startswith("nunchi")
    ]
    assert len(examples) >= 3
    assert all(line.count("nunchi ") == 1 for line in examples)
