"""CPU per scrape: nunchi beside Prometheus, both scraping the same replay target over loopback with keep-alive.

    python benchmarks/scrape.py --series 1000 --targets 100 --seconds 15
    python benchmarks/scrape.py --series 5 --targets 1000 --seconds 15 --prometheus /usr/bin/prometheus

nunchi runs fetching, parsing, the door and the report over a store that throws away, so that the figure is the scrape
side's own; `--store memory` appends to the memory store instead. Prometheus's figure includes its store.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from programs.process import cpu_seconds

BODIES = 8
WARM_UP_SECONDS = 4.0  # every target has been scraped, and its series are known


def bodies(series: int) -> list[bytes]:
    """Expositions of one target at successive times: a quarter of the values moves."""
    made = []
    for variant in range(BODIES):
        lines = []
        for number in range(series):
            if number % 50 == 0:
                lines.append(
                    f"# HELP metric_{number // 50} A metric of fifty series.\n# TYPE metric_{number // 50} gauge\n"
                )
            value = number + (variant if number % 4 == 0 else 0)
            lines.append(f'metric_{number // 50}{{path="/api/{number % 50}",code="200",method="GET"}} {value}.5\n')
        made.append("".join(lines).encode())
    return made


class ReplayTarget(asyncio.Protocol):
    """Answers every request at once, whatever it asks."""

    answers: tuple[bytes, ...] = ()
    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.pending = b""

    def data_received(self, data: bytes) -> None:
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, self.pending = self.pending.split(b"\r\n\r\n", 1)
            if head.startswith(b"GET /count "):
                count = str(ReplayTarget.count).encode()
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(count), count))
                continue
            ReplayTarget.count += 1
            self.transport.write(self.answers[ReplayTarget.count % BODIES])


async def serve(series: int) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n"
    ReplayTarget.answers = tuple(head.format(len(body)).encode() + body for body in bodies(series))
    server = await asyncio.get_running_loop().create_server(ReplayTarget, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def configuration(port: int, targets: int) -> str:
    entries = "\n".join(
        f"  - targets: ['127.0.0.1:{port}']\n    labels: {{__metrics_path__: /t/{number}, instance: 't{number}'}}"
        for number in range(targets)
    )
    return f"global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: replay\n  static_configs:\n{entries}\n"


class DiscardingAppender:
    """Says that everything was accepted."""

    def append(self, batch):
        from nunchi.storage.contracts import AppendResult

        return AppendResult(accepted=len(batch))

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass


async def scrape(config: Path, store_name: str) -> None:
    from nunchi.admission.door import Door
    from nunchi.intake.scrape.scrape_manager import ScrapeManager
    from nunchi.kit.clock import SystemClock
    from nunchi.kit.logs import logger
    from nunchi.kit.telemetry import Telemetry
    from nunchi.server.settings import load_configuration
    from nunchi.storage.memory import MemoryStore

    clock, telemetry = SystemClock(), Telemetry()
    appender = MemoryStore(clock).appender if store_name == "memory" else DiscardingAppender
    manager = ScrapeManager(Door(appender, clock, telemetry), clock, telemetry, logger("bench"), host_name="bench")
    manager.apply(load_configuration(config, {}).scrape)
    await asyncio.Event().wait()


def served(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
        return int(answer.read())


def measure(command: list[str], port: int, seconds: float) -> tuple[float, float]:
    """CPU seconds of a scraping process, and the scrapes that the target has answered meanwhile."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP_SECONDS)
        scrapes, cpu = served(port), cpu_seconds(process.pid)
        time.sleep(seconds)
        return cpu_seconds(process.pid) - cpu, served(port) - scrapes
    finally:
        process.terminate()
        process.wait()


def show(name: str, cpu: float, scrapes: float, series: int) -> None:
    per_scrape = cpu / scrapes * 1e6
    rate = series * scrapes / cpu / 1e6
    print(f"{name:<22} {scrapes:8.0f} scrapes  {per_scrape:8.1f} us CPU a scrape  {rate:7.2f} M samples/CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", default="measure")
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--store", default="none", choices=["none", "memory"])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--prometheus", default="")
    chosen = parser.parse_args()
    if chosen.role == "target":
        asyncio.run(serve(chosen.series))
    elif chosen.role == "nunchi":
        asyncio.run(scrape(chosen.config, chosen.store))
    else:
        command = [sys.executable, __file__, "--role", "target", "--series", str(chosen.series)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as target,
            tempfile.TemporaryDirectory() as folder,
        ):
            assert target.stdout is not None
            port = int(target.stdout.readline())
            config = Path(folder) / "prometheus.yml"
            config.write_text(configuration(port, chosen.targets))
            nunchi = [sys.executable, __file__, "--role", "nunchi", "--config", str(config), "--store", chosen.store]
            show(f"nunchi ({chosen.store} store)", *measure(nunchi, port, chosen.seconds), chosen.series)
            if chosen.prometheus:
                data = ["--storage.tsdb.path", f"{folder}/data", "--web.listen-address=127.0.0.1:0"]
                command = [chosen.prometheus, f"--config.file={config}", *data]
                show("prometheus", *measure(command, port, chosen.seconds), chosen.series)
            target.terminate()


if __name__ == "__main__":
    main()
