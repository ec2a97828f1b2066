"""What the agent costs on this host, beside node_exporter scraped as often: memory, CPU a round, start time, bytes a sample.

Takes about a minute. Results go to benchmarks/results/agent.json.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from aiohttp import web

ROUNDS = 20
INTERVAL_SECONDS = 1.0
STARTS = 5
RESULTS = Path(__file__).parent / "results" / "agent.json"
AGENT = """
import asyncio, json, random, signal, sys
from pathlib import Path
from nunchi.agent.configuration import configuration_of
from nunchi.agent.settings import parse_agent_settings
from nunchi.agent.wiring import build_agent
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.supervision import Supervisor
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry

async def main():
    settings, clock, source = parse_agent_settings(sys.argv[1], "benchmark"), SystemClock(), random.Random()
    agent = build_agent(configuration_of(settings), clock, source, SystemDisk(), Telemetry(), logger("agent"))
    supervisor = Supervisor(clock, source, logger("agent"))
    for part in agent.parts:
        await supervisor.start(part)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(json.dumps({"acknowledged": agent.accounting.acknowledged.total(), "queued": agent.accounting.queued}))
    await supervisor.stop()

asyncio.run(main())
"""


class Sink:
    """A server that takes everything, counts bytes and remembers when something came first."""

    def __init__(self) -> None:
        self.bytes = 0
        self.payloads = 0
        self.arrived = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.bytes += len(await request.read())
        self.payloads += 1
        self.arrived.set()
        return web.json_response({})


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far and resident megabytes of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return cpu_seconds, int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


async def start_agent(url: str, folder: str) -> asyncio.subprocess.Process:
    settings = f"{{interval: {INTERVAL_SECONDS:.0f}s, state_folder: {folder}, server: {{url: '{url}'}}}}"
    return await asyncio.create_subprocess_exec(sys.executable, "-c", AGENT, settings, stdout=asyncio.subprocess.PIPE)


async def end(process: asyncio.subprocess.Process) -> dict[str, float]:
    process.send_signal(signal.SIGTERM)
    output, _ = await process.communicate()
    answer: dict[str, float] = json.loads(output)
    return answer


async def measure_agent(folder: str) -> dict[str, float]:
    sink = Sink()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{path:.*}", sink.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    starts: list[float] = []
    for _ in range(STARTS):
        sink.arrived.clear()
        began = time.perf_counter()
        process = await start_agent(url, folder)
        await sink.arrived.wait()
        starts.append(time.perf_counter() - began)
        await end(process)
    payloads_at_start = sink.payloads
    process = await start_agent(url, folder)
    await asyncio.sleep(3)
    cpu_before, _ = usage(process.pid)
    payloads_before, bytes_before = sink.payloads, sink.bytes
    await asyncio.sleep(ROUNDS * INTERVAL_SECONDS)
    cpu_after, resident = usage(process.pid)
    payloads, pushed_bytes = sink.payloads - payloads_before, sink.bytes - bytes_before
    rounds = sink.payloads - payloads_at_start
    answer = await end(process)
    await runner.cleanup()
    samples = answer["acknowledged"] / max(rounds, 1)
    return {
        "start_to_first_payload_seconds": statistics.median(starts),
        "resident_mb": resident,
        "cpu_ms_a_round": (cpu_after - cpu_before) / max(payloads, 1) * 1000,
        "samples_a_round": round(samples),
        "bytes_a_round": pushed_bytes / max(payloads, 1),
        "bytes_a_sample": pushed_bytes / max(payloads, 1) / max(samples, 1),
    }


async def measure_node_exporter(program: str, port: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}/metrics"
    process = await asyncio.create_subprocess_exec(
        program, f"--web.listen-address=127.0.0.1:{port}", stderr=subprocess.DEVNULL
    )

    def scrape(encoding: str = "gzip") -> bytes:
        request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})
        with urllib.request.urlopen(request, timeout=5) as answer:
            body: bytes = answer.read()
            return body

    try:
        for _ in range(50):
            await asyncio.sleep(0.1)
            with contextlib.suppress(OSError):
                await asyncio.to_thread(scrape)
                break
        cpu_before, _ = usage(process.pid)
        size = 0
        for _ in range(ROUNDS):
            size += len(await asyncio.to_thread(scrape))
            await asyncio.sleep(INTERVAL_SECONDS)
        cpu_after, resident = usage(process.pid)
        text = await asyncio.to_thread(scrape, "identity")
        samples = sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))
        return {
            "resident_mb": resident,
            "cpu_ms_a_round": (cpu_after - cpu_before) / ROUNDS * 1000,
            "samples_a_round": samples,
            "bytes_a_round": size / ROUNDS,
            "bytes_a_sample": size / ROUNDS / samples,
        }
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, dict[str, float]] = {"nunchi agent, pushing": await measure_agent(folder)}
    peers = os.environ.get("NUNCHI_PEERS")
    program = shutil.which("prometheus-node-exporter", path=peers) or shutil.which("prometheus-node-exporter")
    if program:
        results["node_exporter, scraped with gzip"] = await measure_node_exporter(program, free_port())
    for name, numbers in results.items():
        print(name)
        for number, value in numbers.items():
            print(f"  {number:32} {value:10.2f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
