"""collectd's StatsD server beside ours: both hear the same lines and come to the same numbers."""

import asyncio
import random
import socket
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest
from tests.agent.statsd.test_statsd import running, wait_shown
from tests.peers import find_peer

from nunchi.agent.emission import Emission

pytestmark = pytest.mark.peer
LINES_TOGETHER = 30
CONFIGURATION = """
BaseDir "{folder}"
PIDFile "{folder}/pid"
Hostname "here"
Interval 1
LoadPlugin statsd
LoadPlugin csv
<Plugin statsd>
  Host "127.0.0.1"
  Port "{port}"
  CounterSum true
  TimerSum true
  TimerCount true
</Plugin>
<Plugin csv>
  DataDir "{folder}/csv"
</Plugin>
"""


def lines_of(source: random.Random) -> list[str]:
    """Whole sums, so that both add them up alike; gauges and sets at the end."""
    rates = ("1", "0.5", "0.25")
    counts = [f"hits.{source.randrange(3)}:{source.randrange(1, 9)}|c|@{source.choice(rates)}" for _ in range(400)]
    return [
        *counts,
        *(f"time:{source.randrange(1, 50)}|ms" for _ in range(100)),
        "level:7|g",
        "level:+5|g",
        "level:-2|g",
    ]


def summed(folder: Path, kind: str) -> float:
    """The sum over all intervals of what collectd has written of one value."""
    total = 0.0
    for path in folder.glob(f"csv/here/statsd/{kind}-20*"):
        rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
        total += sum(float(row[1]) for row in rows if row[1] != "nan")
    return total


def last(folder: Path, kind: str) -> float:
    """The newest value."""
    [path] = folder.glob(f"csv/here/statsd/{kind}-20*")
    return float(path.read_text().splitlines()[-1].split(",")[1])


async def wait_listening(port: int) -> None:
    """Return when somebody has this UDP port of loopback."""
    wanted = f"0100007F:{port:04X}"
    async with asyncio.timeout(20):
        while wanted not in Path("/proc/net/udp").read_text():  # noqa: ASYNC110, ASYNC240 (the kernel tells nobody)
            await asyncio.sleep(0.02)


async def test_collectd_and_the_agent_come_to_the_same_numbers(tmp_path: Path) -> None:
    collectd = find_peer("collectd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "collectd.conf").write_text(CONFIGURATION.format(folder=tmp_path, port=port))
    process = await asyncio.create_subprocess_exec(
        collectd, "-f", "-C", str(tmp_path / "collectd.conf"), stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        async with running('{udp: ["127.0.0.1:0"]}') as statsd:
            await wait_listening(port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                lines = [*lines_of(random.Random(3)), "done:1|c"]
                for at in range(0, len(lines), LINES_TOGETHER):  # collectd's socket holds few datagrams
                    text = "\n".join(lines[at : at + LINES_TOGETHER]).encode()
                    for to in (port, statsd.udp_ports[0]):
                        sender.sendto(text, ("127.0.0.1", to))
            shown = await wait_shown(statsd, "done", 1)
            async with asyncio.timeout(30):
                while summed(tmp_path, "count-done") < 1:  # noqa: ASYNC110 (the file system tells nobody)
                    await asyncio.sleep(0.1)
            for number in range(3):
                assert summed(tmp_path, f"count-hits.{number}") == shown[f"hits_{number}"]
            assert last(tmp_path, "gauge-level") == shown["level"] == 10
            emission = Emission()
            statsd.aggregation.emit(emission)
            [(_, _, timer)] = emission.histograms
            assert summed(tmp_path, "gauge-time-count") == timer.count == 100
            assert summed(tmp_path, "latency-time-sum") == pytest.approx(timer.sum, rel=1e-3)
    finally:
        process.terminate()
        await process.wait()
