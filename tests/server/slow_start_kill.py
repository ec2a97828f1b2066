"""Kills a server again and again while it loads and takes samples, and compares what it acknowledged with what is found.

    python tests/server/slow_start_kill.py FOLDER [ROUNDS]

The child serves over a disk that takes its time for every segment of the log. The parent writes numbered commits over HTTP,
asks after each whether the child still loads, and sends SIGKILL at a random moment.
"""

import asyncio
import contextlib
import http.client
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import MappedFile
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import build_server
from nunchi.server.world import World
from nunchi.testing.contracts.store import select
from nunchi.tsdb import wal
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.wire.compression import encode
from nunchi.wire.remote_write import encode_write_request

SERIES = 40
SEGMENT_SECONDS = 0.08
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


class SlowDisk(SystemDisk):
    """Thinks before it shows a segment."""

    def map(self, path: Path) -> MappedFile:
        if path.suffix == ".segment":
            time.sleep(SEGMENT_SECONDS)
        return super().map(path)


async def serve(folder: Path) -> None:
    wal.SEGMENT_BYTES_MAX = 8_000
    flags = ServerFlags(storage_tsdb_path=folder, web_listen_address="127.0.0.1:0")
    server = build_server(flags, ConfigurationLoader(None, None, {}), World(disk=SlowDisk()))
    await server.open()
    os.write(1, f"{server.url}\n".encode())
    await server.load()
    await asyncio.Event().wait()


def body_of(number: int, start_ms: int) -> bytes:
    """Commit n has a sample of every series of one half at n milliseconds after the start."""
    half = range(number % 2, SERIES, 2)
    series = [(Labels.of(f"m{n % 3}", n=str(n)), [(start_ms + number, float(number + n))]) for n in half]
    return encode("snappy", encode_write_request(series, {}))


def found_samples(folder: Path, start_ms: int) -> dict[int, int]:
    """Commit number → samples found of it; wrong values are an error."""
    database = Database(folder, SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    found: dict[int, int] = {}
    for labels, samples in select(database).items():
        for time_ms, value in samples:
            if "n" in dict(labels):
                number = time_ms - start_ms
                assert value == number + int(labels["n"]), "a wrong value"
                found[number] = found.get(number, 0) + 1
    database.abandon()
    return found


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> int:
    """The status of an answer."""
    connection.request(method, path, body, HEADERS if body else {})
    response = connection.getresponse()
    response.read()
    return response.status


def kill_rounds(folder: Path, rounds: int, chance: random.Random) -> tuple[int, int, int]:
    """Commits acknowledged, how many of these while the server loaded, and commits found, after all rounds."""
    folder.mkdir(parents=True, exist_ok=True)
    start_ms, number, while_loading = SystemClock().now_ms() - 3_600_000, 0, 0
    for _ in range(rounds):
        with subprocess.Popen([sys.executable, __file__, "--child", str(folder)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            address = child.stdout.readline().decode().strip().removeprefix("http://")
            assert address, "the child did not start"
            deadline = time.monotonic() + chance.uniform(0.8, 2.5)
            try:
                with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
                    while time.monotonic() < deadline:
                        status = ask(connection, "POST", "/api/v1/write", body_of(number, start_ms))
                        assert status in (204, 503), status
                        if status == 204:
                            number += 1
                            while_loading += ask(connection, "GET", "/-/ready") == 503
            finally:
                os.kill(child.pid, signal.SIGKILL)
    found = found_samples(folder, start_ms)
    lost = [one for one in range(number) if found.get(one) != SERIES // 2]
    assert not lost, f"commits {lost[:10]} of {number} are lost"
    return number, while_loading, len(found)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        done = kill_rounds(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20, random.Random(7))
        sys.stdout.write(f"{done[0]} commits acknowledged, {done[1]} of them while loading, {done[2]} found, 0 lost\n")
