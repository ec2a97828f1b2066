"""What the agent costs on this host beside node_exporter and collectd: memory, CPU, start time, bytes a sample on the wire.

All three run at once for the same two minutes, every 10 s: the agent with the host checks of its budget, API, exporter, StatsD
and a spool, pushing over TLS; node_exporter scraped over TLS with gzip; collectd with what it has of the same, sending packets
of its own. The rest of the machine is not quiet: CPU is CPU time of the processes, not of the clock. Results: results/agent.*.
"""

import asyncio
import contextlib
import gzip
import json
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trustme
from aiohttp import web
from programs.beside import Measured, Program, Traffic, median_start
from programs.collectd import prepare_collectd
from programs.process import find_program, free_port

from nunchi.agent.checks import CHECKS

INTERVAL_SECONDS = 10
ROUNDS = 12
WARM_SECONDS = 25  # until every program has had two rounds, and what only starting costs is over
BUDGET = {"resident_mb": 60.0, "cpu_percent": 1.0, "start_seconds": 0.5}
WANTED = (
    "cpu", "memory", "load", "filesystem", "disk", "network", "pressure", "vmstat", "netstat", "sockstat", "timex", "uname",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"
NUNCHI = str(Path(sys.executable).parent / "nunchi")


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
            results["node_exporter"] = await median_start(partial(Program, command, scraper.wait_answer))
            programs["node_exporter"] = Program(command, scraper.wait_answer), traffic
            background.append(scraper.run)
        collectd = find_program("collectd")
        if collectd:
            command, wait_packet, traffic = await prepare_collectd(collectd, folder, INTERVAL_SECONDS)
            results["collectd"] = await median_start(partial(Program, command, wait_packet))
            programs["collectd"] = Program(command, wait_packet), traffic
        for program, _ in programs.values():
            await program.start()
            stack.push_async_callback(program.end)
        await run_together(results, programs, background)
        results["nunchi agent"].samples_a_round = await asyncio.to_thread(exporter_samples, exporter_port)
    return results


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
