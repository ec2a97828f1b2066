"""What the agent costs on this host beside node_exporter and collectd: memory, CPU, start time, bytes a sample on the wire.

All three run at once for the same two minutes, every 10 s: the agent with the host checks of its budget, API, exporter, StatsD
and a spool, pushing over TLS; node_exporter scraped over TLS with gzip; collectd with what it has of the same, sending packets
of its own. The rest of the machine is not quiet: CPU is CPU time of the processes, not of the clock. Results: results/agent.*.
"""

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

import trustme
from aiohttp import web

from nunchi.agent.checks import CHECKS

INTERVAL_SECONDS = 10
ROUNDS = 12
STARTS = 5
WARM_SECONDS = 25
START_SECONDS_MAX = 20
BUDGET = {"resident_mb": 60.0, "cpu_percent": 1.0, "start_seconds": 0.5}
WANTED = (
    "cpu", "memory", "load", "filesystem", "disk", "network", "pressure", "vmstat", "netstat", "sockstat", "timex", "uname",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"
NUNCHI = str(Path(sys.executable).parent / "nunchi")
COLLECTD = """
Interval {interval}
BaseDir "{folder}"
PIDFile "{folder}/pid"
TypesDB "/usr/share/collectd/types.db"
{load}
<Plugin network>
  Server "127.0.0.1" "{port}"
</Plugin>
<Plugin cpu>
  ValuesPercentage false
</Plugin>
"""
COLLECTD_PLUGINS = (
    "cpu",
    "memory",
    "load",
    "df",
    "disk",
    "interface",
    "vmem",
    "protocols",
    "tcpconns",
    "swap",
    "processes",
    "network",
)


@dataclass
class Measured:
    """One program. CPU and bytes are of the measured time, memory is at its end."""

    start_seconds: float
    start_cpu_seconds: float
    resident_mb: float = 0.0
    cpu_percent: float = 0.0
    cpu_ms_a_round: float = 0.0
    samples_a_round: float = 0.0
    bytes_a_round: float = 0.0
    payload_bytes_a_round: float = 0.0

    @property
    def bytes_a_sample(self) -> float:
        """What a sample takes on the wire, with all that is said besides."""
        return self.bytes_a_round / max(self.samples_a_round, 1)

    @property
    def payload_bytes_a_sample(self) -> float:
        """What a sample takes in the body of a push, an answer or a packet."""
        return self.payload_bytes_a_round / max(self.samples_a_round, 1)


@dataclass
class Traffic:
    """What has come so far."""

    bytes: int = 0
    payload_bytes: int = 0
    samples: int = 0


class Program:
    """A process from its start to its end. `arrived` is set when it has shown samples for the first time."""

    def __init__(self, command: list[str], arrived: Callable[[], Awaitable[None]]) -> None:
        self._command = command
        self._arrived = arrived

    async def start(self) -> Measured:
        """Run it; how long, and how much CPU, until it showed its first samples."""
        began = time.perf_counter()
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            await self._arrived()
        return Measured(time.perf_counter() - began, self.usage()[0])

    async def end(self) -> None:
        """End it where it runs."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()

    def usage(self) -> tuple[float, float]:
        """CPU seconds so far and resident megabytes, of what it has started too."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = [_usage(pid) for pid in (str(self.process.pid), *children)]
        return sum(cpu for cpu, _ in found), sum(resident for _, resident in found)


def _usage(pid: str) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return cpu_seconds, pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def median_start(program: Callable[[], Program]) -> Measured:
    """The start, several times."""
    starts = []
    for _ in range(STARTS):
        one = program()
        starts.append(await one.start())
        await one.end()
    return Measured(
        statistics.median(one.start_seconds for one in starts),
        statistics.median(one.start_cpu_seconds for one in starts),
    )


@contextlib.asynccontextmanager
async def push_server(folder: Path, traffic: Traffic, arrived: asyncio.Event) -> AsyncIterator[str]:
    """A server that takes everything, behind a relay that counts what comes over the wire, TLS and headers included."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/api/v1/push":
            traffic.payload_bytes += len(body)
            arrived.set()
        return web.json_response({})

    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_counted: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 16):
                traffic.bytes += len(chunk) * is_counted
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, far_writer, is_counted=True), carry(far_reader, writer, is_counted=False))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await runner.cleanup()


def agent_home(folder: Path, url: str, exporter_port: int) -> Path:
    """An agent as its budget describes it."""
    home = folder / "agent"
    home.mkdir()
    off = ", ".join(
        f"{check.name}: {{enabled: false}}" for check in CHECKS if check.is_default and check.name not in WANTED
    )
    (home / "nunchi-agent.yaml").write_text(
        f"interval: {INTERVAL_SECONDS}s\napi: {{address: '127.0.0.1:0'}}\nexporter: {{address: '127.0.0.1:{exporter_port}'}}\n"
        f"statsd: {{udp: ['127.0.0.1:{free_port()}']}}\nchecks: {{{off}}}\n"
        f"server: {{url: '{url}', tls_config: {{ca_file: {folder}/ca.pem}}}}\n"
    )
    return home


def exporter_samples(port: int) -> int:
    """How many samples the agent's exporter shows: what a round has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return count_samples(answer.read())


def count_samples(page: bytes) -> int:
    return sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))


@dataclass
class Scraper:
    """Scrapes node_exporter as a server would."""

    url: str
    context: ssl.SSLContext
    traffic: Traffic

    def scrape(self) -> None:
        request = urllib.request.Request(self.url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=5, context=self.context) as answer:
            body = answer.read()
            self.traffic.bytes += len(body) + len(str(answer.headers))
            self.traffic.payload_bytes += len(body)
            self.traffic.samples += count_samples(gzip.decompress(body))

    async def wait_answer(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.to_thread(self.scrape)
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await asyncio.to_thread(self.scrape)


class Packets(asyncio.DatagramProtocol):
    """Counts collectd's packets: bytes with UDP's and IP's headers, and values."""

    def __init__(self, traffic: Traffic, arrived: asyncio.Event) -> None:
        self._traffic = traffic
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._traffic.bytes += len(data) + 28
        self._traffic.payload_bytes += len(data)
        while len(data) >= 4:
            kind, length = struct.unpack_from(">HH", data)
            if kind == 6:
                self._traffic.samples += struct.unpack_from(">H", data, 4)[0]
            data = data[max(length, 4) :]
        self._arrived.set()


def find_program(name: str) -> str | None:
    peers = os.environ.get("NUNCHI_PEERS")
    return shutil.which(name, path=peers) or shutil.which(name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def make_certificates(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {folder}/cert.pem, key_file: {folder}/key.pem}}\n"
    )


async def measure(folder: Path) -> dict[str, Measured]:
    """Every program's start, then all of them beside each other."""
    make_certificates(folder)
    results: dict[str, Measured] = {}
    programs: dict[str, tuple[Program, Traffic]] = {}
    background: list[Callable[[], Coroutine[None, None, None]]] = []
    agent_traffic, pushed, exporter_port = Traffic(), asyncio.Event(), free_port()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(push_server(folder, agent_traffic, pushed))
        home = agent_home(folder, url, exporter_port)

        async def wait_push() -> None:
            pushed.clear()
            await pushed.wait()

        def agent() -> Program:
            return Program([NUNCHI, "agent", "run", "--home", str(home), "--log.level=error"], wait_push)

        results["nunchi agent"] = await median_start(agent)
        programs["nunchi agent"] = agent(), agent_traffic
        exporter = find_program("prometheus-node-exporter")
        if exporter:
            port, traffic = free_port(), Traffic()
            context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            scraper = Scraper(f"https://127.0.0.1:{port}/metrics", context, traffic)
            command = [exporter, f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={folder}/web.yml"]
            results["node_exporter"] = await median_start(lambda: Program(command, scraper.wait_answer))
            programs["node_exporter"] = Program(command, scraper.wait_answer), traffic
            background.append(scraper.run)
        collectd = find_program("collectd")
        if collectd:
            await add_collectd(collectd, folder, results, programs)
        for program, _ in programs.values():
            await program.start()
            stack.push_async_callback(program.end)
        await run_together(results, programs, background)
        results["nunchi agent"].samples_a_round = await asyncio.to_thread(exporter_samples, exporter_port)
    return results


async def add_collectd(
    collectd: str, folder: Path, results: dict[str, Measured], programs: dict[str, tuple[Program, Traffic]]
) -> None:
    """collectd with the plugins that show what the agent's checks show."""
    traffic, arrived, port = Traffic(), asyncio.Event(), free_port()
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Packets(traffic, arrived), local_addr=("127.0.0.1", port)
    )
    load = "\n".join(f"LoadPlugin {plugin}" for plugin in COLLECTD_PLUGINS)
    text = COLLECTD.format(interval=INTERVAL_SECONDS, folder=folder, load=load, port=port)
    (folder / "collectd.conf").write_text(text)

    async def wait_packet() -> None:
        arrived.clear()
        await arrived.wait()

    command = [collectd, "-f", "-C", str(folder / "collectd.conf")]
    results["collectd"] = await median_start(lambda: Program(command, wait_packet))
    programs["collectd"] = Program(command, wait_packet), traffic


async def run_together(
    results: dict[str, Measured],
    programs: dict[str, tuple[Program, Traffic]],
    background: list[Callable[[], Coroutine[None, None, None]]],
) -> None:
    """All at once for the measured time; `background` asks those that have to be asked."""
    tasks = [asyncio.create_task(one()) for one in background]
    await asyncio.sleep(WARM_SECONDS)
    before = {name: (program.usage()[0], replace(traffic)) for name, (program, traffic) in programs.items()}
    await asyncio.sleep(ROUNDS * INTERVAL_SECONDS)
    for task in tasks:
        assert not task.done(), task.exception()
        task.cancel()
    for name, (program, traffic) in programs.items():
        (cpu, resident), (cpu_before, earlier) = program.usage(), before[name]
        one = results[name]
        one.resident_mb = resident
        one.cpu_percent = (cpu - cpu_before) / (ROUNDS * INTERVAL_SECONDS) * 100
        one.cpu_ms_a_round = (cpu - cpu_before) / ROUNDS * 1000
        one.bytes_a_round = (traffic.bytes - earlier.bytes) / ROUNDS
        one.payload_bytes_a_round = (traffic.payload_bytes - earlier.payload_bytes) / ROUNDS
        one.samples_a_round = (traffic.samples - earlier.samples) / ROUNDS


def report(results: dict[str, Measured]) -> str:
    """A table, and the budget beside it."""
    agent = results["nunchi agent"]
    lines = [
        "# The agent",
        "",
        f"`benchmarks/agent.py`: {ROUNDS} rounds of {INTERVAL_SECONDS} s, all programs beside each other on one machine.",
        "The agent runs " + ", ".join(WANTED) + " with API, exporter and StatsD, pushing over TLS;",
        "its bytes are those of its connection, heartbeats and probes of the server among them.",
        "node_exporter has its default collectors and is scraped over TLS with gzip (body and headers counted, not TLS);",
        "collectd sends its own packets, neither encrypted nor acknowledged (with headers of UDP and IP).",
        "",
        "| | start s | its CPU s | MiB | CPU % | CPU ms a round | samples a round | bytes a round | a sample | payload alone |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        cells = [
            name, f"{one.start_seconds:.2f}", f"{one.start_cpu_seconds:.2f}", f"{one.resident_mb:.1f}",
            f"{one.cpu_percent:.3f}", f"{one.cpu_ms_a_round:.1f}", f"{one.samples_a_round:.0f}", f"{one.bytes_a_round:,.0f}",
            f"{one.bytes_a_sample:.1f}", f"{one.payload_bytes_a_sample:.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| budget of the agent | at most | measured |", "|---|---|---|"]
    lines += [f"| {name} | {limit:g} | {getattr(agent, name):.3g} |" for name, limit in BUDGET.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder)))
    text = report(results)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "agent.md").write_text(text)
    shown = {
        name: {
            **vars(one),
            "bytes_a_sample": one.bytes_a_sample,
            "payload_bytes_a_sample": one.payload_bytes_a_sample,
        }
        for name, one in results.items()
    }
    (RESULTS / "agent.json").write_text(json.dumps(shown, indent=2) + "\n")


if __name__ == "__main__":
    main()
