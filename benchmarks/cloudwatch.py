"""What it costs to clip 20,000 metrics of CloudWatch over 5 regions.

Against the tests' stand-in for AWS, in a process of its own.

Reported: calls by API, metrics requested (the billed unit), CPU and memory of the agent's side, payload bytes, the length of a
round, and how far the newest complete window is behind what its delay allows.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from programs.process import free_port

from nunchi.agent.clipper_settings import AwsCredentials, AwsSettings, CloudSettings
from nunchi.agent.clippers import build_providers
from nunchi.agent.cloud.wiring import CloudWorld, build_cloud
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.identity import Identity
from nunchi.agent.rounds import Round
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import configure, logger
from nunchi.kit.secrets import Secret
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.cloud_configuration import parse_cloud_configuration

ROOT = Path(__file__).resolve().parent.parent
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1")
METRICS = 20_000
ROUNDS = 3
INTERVAL_SECONDS = 60
QUIET_SECONDS = 3.0
STUB = ROOT / "tests" / "agent" / "clippers" / "aws_stub.py"
REPORT = ROOT / "benchmarks" / "results" / "cloudwatch.md"
CONFIGURATION = """
aws:
- name: large
  credentials: main
  regions: [{regions}]
  metrics:
  - {{namespace: AWS/EC2, interval: {interval}s, metrics: [{names}]}}
"""


class Sink:
    """Encodes as the forwarder does, and keeps nothing."""

    def __init__(self, identity: Identity) -> None:
        self.encoder = PushEncoder(identity, INTERVAL_SECONDS * 1000)
        self.samples = self.bytes = self.payloads = 0

    def put_rounds(self, rounds: Sequence[Round]) -> None:
        self.bytes += len(self.encoder.encode(self.samples, *rounds))
        self.samples += sum(map(len, rounds))
        self.payloads += 1


def cpu_seconds() -> float:
    return time.process_time()


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


async def wait_port(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return


async def measure(port: int, folder: Path) -> list[str]:
    await wait_port(port)
    url = f"http://127.0.0.1:{port}"
    identity = Identity("a" * 32, "bench", (), "1", 1, 1)
    sink, telemetry = Sink(identity), Telemetry()
    keys = {"main": AwsCredentials(access_key_id="AK", secret_access_key=Secret("s"))}
    settings = CloudSettings(aws=AwsSettings(credentials=keys, endpoint_url=url))
    world = CloudWorld(
        identity, {}, sink, None, folder, folder, SystemDisk(), SystemClock(), Random(1), telemetry, logger("agent")
    )
    rss_before = rss_mb()
    cloud = build_cloud(settings, build_providers, world)
    names = ", ".join(f"{{name: Metric{number}}}" for number in range(10))
    text = CONFIGURATION.format(regions=", ".join(REGIONS), interval=INTERVAL_SECONDS, names=names)
    await cloud.manager.apply(parse_cloud_configuration(text, "benchmark"))
    lines = [
        "| round | wall s | CPU s | samples | payload bytes | API calls | metrics requested | behind s | RSS MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    calls, asked = telemetry.find("agent_cloud_calls_total"), telemetry.find("agent_cloud_metrics_requested_total")
    behind = telemetry.find("agent_cloud_behind_seconds")
    for number in range(1, ROUNDS + 1):
        began, cpu, before = time.monotonic(), cpu_seconds(), (sink.samples, sink.bytes, calls.total(), asked.total())
        handed = -1
        while asked.total() < number * METRICS or handed != sink.samples:
            handed = sink.samples
            await asyncio.sleep(QUIET_SECONDS)  # until no pack of this round is under way any more
        wall, used = time.monotonic() - began, cpu_seconds() - cpu
        worst = max(value for _, _, value in behind.samples())
        lines.append(
            f"| {number} | {wall:.1f} | {used:.2f} | {sink.samples - before[0]:,} | {sink.bytes - before[1]:,} | "
            f"{calls.total() - before[2]:.0f} | {asked.total() - before[3]:,.0f} | {worst:.0f} | {rss_mb():.0f} |"
        )
    by_api: dict[str, float] = {}
    for _, labels, value in calls.samples():
        by_api[dict(labels)["api"]] = by_api.get(dict(labels)["api"], 0) + value
    states = {one["state"] for one in cloud.manager.status()}
    await cloud.manager.stop()
    shown = ", ".join(f"{api} {count:.0f}" for api, count in sorted(by_api.items()))
    return [
        *lines,
        "",
        f"Calls of all rounds: {shown}. States at the end: {', '.join(sorted(states))}.",
        f"Memory before the first call, without boto3: {rss_before:.0f} MiB.",
    ]


def main() -> None:
    configure("error", "logfmt")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        stub = subprocess.Popen([sys.executable, str(STUB), str(port), str(METRICS // len(REGIONS))])
        try:
            lines = asyncio.run(measure(port, Path(folder)))
        finally:
            stub.terminate()
            stub.wait()
    report = "\n".join(
        [
            "# CloudWatch",
            "",
            f"`benchmarks/cloudwatch.py`: {METRICS:,} metrics over {len(REGIONS)} regions, every {INTERVAL_SECONDS} s,",
            "period 5 m, look-back 15 m, against the tests' stand-in for AWS in another process",
            "(its time is in the wall column alone).",
            "A round after the first waits for its turn: its wall time is the interval, its cost is the CPU column.",
            "",
            *lines,
            "",
        ]
    )
    REPORT.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
