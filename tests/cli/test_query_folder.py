"""`nunchi query --path`: a data folder answers as a server does, command by command and byte by byte."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.web.site import serving

from nunchi.cli.asking import QueryRefusedError
from nunchi.cli.query import command
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

NOW = 1_700_000_000
TIMES = [(NOW - 600 + n * 15) * 1000 for n in range(41)]
SERIES = {
    Labels.of("load", host="a"): [(at, float(n)) for n, at in enumerate(TIMES)],
    Labels.of("load", host="b/c"): [(at, 7.0) for at in TIMES],
    **{
        Labels.of("wait_bucket", le=le): [(at, float(n * share)) for n, at in enumerate(TIMES)]
        for le, share in (("1", 0), ("2", 3), ("+Inf", 3))
    },
}
SPAN = ("--start", str(NOW - 600), "--end", str(NOW), "--step", "15")
AT = ("--time", str(NOW))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is being written: half of its samples are in a run, half in the log alone."""
    path = tmp_path_factory.mktemp("folder") / "data"
    database = Database(path, SystemDisk(), VirtualClock(NOW), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    append(database, {labels: samples[:20] for labels, samples in SERIES.items()})
    database.seal()
    append(database, {labels: samples[20:] for labels, samples in SERIES.items()})
    yield path
    database.abandon()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server over the same samples, in a thread of its own."""
    ready, address, loop = threading.Event(), [], []
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(filled=False, clock=VirtualClock(NOW)) as site:
            append(site.store, SERIES)
            address.append(site.url)
            loop.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop[0].call_soon_threadsafe(stop.set)
    thread.join()


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False)


@pytest.mark.parametrize(
    "words",
    [
        ("instant", "load", *AT),
        ("instant", "load", *AT, "--json"),
        ("instant", "sum by (host) (rate(load[1m]))", *AT, "-f", "csv"),
        ("instant", 'load{host="a"}[40s]', *AT),
        ("instant", "1 + 1", *AT),
        ("instant", "'text'", *AT, "--json"),
        ("instant", "nothing", *AT),
        ("instant", "quantile(2, load)", *AT),
        ("range", "load", *SPAN),
        ("range", "load", *SPAN, "-f", "table"),
        ("range", "load / 3", *SPAN, "-f", "json"),
        ("range", "load / 3", *SPAN, "-f", "csv"),
        ("series", "load", "wait_bucket"),
        ("series", "load", "--limit", "1", "--json"),
        ("labels",),
        ("labels", "host"),
        ("labels", "host", "--match", 'load{host="a"}', "--json"),
        ("analyze", "--match", "wait_bucket", "--duration", "5m", *AT),
        ("analyze", "--match", "wait_bucket", "--duration", "5m", *AT, "--json"),
    ],
    ids=" ".join,
)
def test_a_folder_answers_as_a_server(folder: Path, url: str, words: tuple[str, ...]):
    here, there = run(*words, "--path", str(folder)), run(*words, "--url", url)
    assert here.stdout == there.stdout
    assert here.stderr == there.stderr
    assert (here.exit_code, there.exit_code) == (0, 0)


@pytest.mark.parametrize("words", [("instant", "sum("), ("instant", "load", "--time", "noon"), ("series", "load[5m]")])
def test_a_folder_refuses_as_a_server(folder: Path, url: str, words: tuple[str, ...]):
    with pytest.raises(QueryRefusedError) as here:
        run(*words, "--path", str(folder))
    with pytest.raises(QueryRefusedError) as there:
        run(*words, "--url", url)
    assert str(here.value) == str(there.value)


def test_experimental_parts_are_asked_for(folder: Path):
    with pytest.raises(QueryRefusedError, match="experimental"):
        run("instant", "limitk(1, load)", *AT, "--path", str(folder))
    feature = ("--enable-feature", "promql-experimental-functions")
    data = json.loads(run("instant", "limitk(1, load)", *AT, "--json", "--path", str(folder), *feature).stdout)
    assert len(data["result"]) == 1


def test_what_was_acknowledged_before_the_command_is_in_the_answer(tmp_path: Path):
    clock = VirtualClock(NOW)
    database = Database(tmp_path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    try:
        for value in (1.0, 2.0):
            append(database, {Labels.of("up"): [(clock.now_ms(), value)]})
            shown = run("instant", "up", "--time", str(clock.now()), "-f", "csv", "--path", str(tmp_path)).stdout
            assert shown.splitlines()[1].split(",")[1] == f"{value:g}"
            clock.jump(15)
    finally:
        database.abandon()


def test_mistakes_are_told(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="give one of them"):
        run("instant", "up", "--path", str(folder), "--url", "http://127.0.0.1:1")
    with pytest.raises(InputError, match="--enable-feature needs --path"):
        run("instant", "up", "--enable-feature", "promql-experimental-functions")
    with pytest.raises(WorldError, match="no data folder"):
        run("instant", "up", "--path", str(tmp_path))


def test_asking_a_server_loads_no_engine():
    code = "import nunchi.cli.query, sys; print('numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
