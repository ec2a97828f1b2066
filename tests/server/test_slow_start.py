"""A server whose disk is slow: the port is open, samples come in, and no question is answered wrong."""

import asyncio
import importlib.util
import json
import os
import random
import signal
import threading
from pathlib import Path
from types import ModuleType

import pytest
from tests.server.house import ServerHouse

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.program import run_until_signal
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.contracts.store import append
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

UP = Labels.of("up_before", job="node")
RULES = "groups: [{name: g, interval: 1s, rules: [{record: ruled, expr: up_before}]}]"


class GatedDisk(SystemDisk):
    """Reads the names of series once it is let."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def read(self, path: Path, offset: int = 0, bytes_max: int | None = None) -> bytes:
        if path.suffix == ".series":
            self.gate.wait()
        return super().read(path, offset, bytes_max)


def fill(folder: Path) -> int:
    """A folder with a block, a run, and a log that was not closed; returns the time of the newest sample."""
    database = Database(folder / "data", SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    now = SystemClock().now_ms() - 10_000
    for begin in (now - 3 * BLOCK_MS, now - 600_000, now - 1000):
        append(database, {UP: [(begin, float(begin)), (begin + 1000, float(begin + 1000))]})
        if begin < now - 1000:
            database.seal()
            compact_head(database._state, (now - BLOCK_MS) // BLOCK_MS * BLOCK_MS)
    database.abandon()
    return now


async def test_while_it_loads_a_server_takes_samples_and_answers_what_it_knows(tmp_path: Path) -> None:
    now = fill(tmp_path)
    old = now - 3 * BLOCK_MS + 1000
    disk = GatedDisk()
    (tmp_path / "rules.yml").write_text(RULES)
    house = ServerHouse(
        tmp_path, disk,
        "rule_files: [rules.yml]\n"
        "scrape_configs: [{job_name: own, scrape_interval: 200ms, scrape_timeout: 200ms, "
        "static_configs: [{targets: ['localhost:1']}]}]",
    )  # fmt: skip
    await house.open()
    status, text, _ = await house.get("/-/ready")
    assert (status, text[:20]) == (503, "Service Unavailable:")
    await house.wait_stage("names of series")
    assert "% done" in (await house.get("/-/ready"))[1]
    assert 0 < await house.metric("nunchi_tsdb_loaded_ratio") < 1

    status, text, headers = await house.get("/api/v1/query", query="up_before", time=now / 1000)
    answer = json.loads(text)
    assert (status, answer["status"], answer["errorType"]) == (503, "error", "unavailable")
    assert "% done" in answer["error"]
    assert int(headers["Retry-After"]) > 0
    for path in ("/api/v1/labels", "/api/v1/metadata", "/api/v1/status/tsdb"):
        assert (await house.get(path))[0] == 503
    assert (await house.query("up_before", old))[0]["value"][1] == str(old)
    assert (await house.get("/api/v1/targets"))[0] == 200

    fresh = house.clock.now_ms()
    assert (await house.write({UP: [(fresh, 1.0)], Labels.of("new"): [(fresh, 2.0)]}))[0] == 204
    assert (await house.write({UP: [(fresh, 3.0)]}))[0] == 400
    status, headers, text = await house.write({UP: [(now - 1000, 7.0)]})
    assert (status, "Retry-After" in headers) == (503, True)
    assert "1 samples cannot be stored now" in text
    assert await house.push(0, fresh, 4.0) == (200, '{"accepted":1,"duplicate":0,"rejected":{}}')
    assert (await house.push(1, now - 5000, 5.0))[0] == 503
    await house.wait_metric('nunchi_admission_samples_accepted_total{source="scrape"}', 5)
    groups = json.loads((await house.get("/api/v1/rules"))[1])["data"]["groups"]
    assert all(group["lastEvaluation"].startswith("0001-01-01") for group in groups)

    disk.gate.set()
    assert house.loading is not None
    await house.loading
    assert (await house.get("/-/ready"))[0] == 200
    assert await house.metric("nunchi_tsdb_loaded_ratio") == 1
    found = await house.query("up_before[8h]", fresh)
    assert [int(time * 1000) for time, _ in found[0]["values"]] == [
        old - 1000, old, now - 600_000, now - 599_000, now - 1000, now, fresh,
    ]  # fmt: skip
    assert (await house.query("new", fresh))[0]["value"][1] == "2"
    assert (await house.query("node_load1", fresh))[0]["value"][1] == "4"
    assert (await house.query("up{job='own'}", house.clock.now_ms()))[0]["value"][1] == "0"
    assert (await house.write({UP: [(now - 1000, 7.0)]}))[0] == 400
    assert await house.push(0, fresh, 4.0) == (200, '{"accepted":0,"duplicate":1,"rejected":{}}')

    async def is_ruled() -> bool:
        return bool(await house.query("ruled", house.clock.now_ms()))

    await house.wait(is_ruled)
    await house.stop()


async def test_a_server_that_is_stopped_while_it_loads_ends_at_once_and_keeps_what_came(tmp_path: Path) -> None:
    fill(tmp_path)
    disk = GatedDisk()
    house = ServerHouse(tmp_path, disk)
    await house.open()
    await house.wait_stage("names of series")
    fresh = house.clock.now_ms()
    assert (await house.write({UP: [(fresh, 1.0)]}))[0] == 204
    assert house.loading is not None
    house.loading.cancel()
    await asyncio.sleep(0)
    disk.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await house.loading
    await house.session.close()
    again = ServerHouse(tmp_path, SystemDisk())
    await again.server.start()
    assert (await again.query("up_before", fresh))[0]["value"][1] == "1"
    await again.stop()


class SlowProgram:
    """Needs for ever to start."""

    was_cancelled = False

    async def start(self) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    async def stop(self) -> None:
        raise AssertionError("it never started")


async def test_a_signal_ends_a_program_that_has_not_started() -> None:
    program = SlowProgram()
    await run_until_signal(program, logger("test"))
    assert program.was_cancelled


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slow_start_kill", Path(__file__).with_name("slow_start_kill.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_by_kills_in_the_middle_of_loading(tmp_path: Path) -> None:
    acknowledged, while_loading, found = load_script().kill_rounds(tmp_path, 5, random.Random(3))
    assert found == acknowledged
    assert while_loading > 20
