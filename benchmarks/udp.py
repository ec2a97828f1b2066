"""What UDP costs: StatsD metrics a CPU second beside the original server and collectd, packs a CPU second at both ends.

StatsD servers are processes of their own that get the same datagrams, paced so that none drops any; their CPU time is read
from /proc. The original needs STATSD_FOLDER (`npm install statsd` there), collectd a `collectd` on the PATH; what is absent
is left out.
Results go to benchmarks/results/udp.json. Takes about a minute.
"""

import contextlib
import gzip
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from programs.process import cpu_seconds, find_program, free_port, resident_mb

from nunchi.agent.udp_session import UdpSession
from nunchi.intake.receive.pack_histograms import PartColumns
from nunchi.intake.receive.pack_server import PackKey, PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.kit.clock import SystemClock
from nunchi.kit.kernels.datagram import send_datagrams
from nunchi.kit.telemetry import Telemetry
from nunchi.model.histogram import Histogram, spans_over
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.wire import pack
from nunchi.wire.compression import Encoding, encode
from nunchi.wire.pack import Confirm, FirstHead, PackKind
from nunchi.wire.pack_histograms import HistogramParts
from nunchi.wire.pack_seal import SEAL_BYTES, PackMode, hello_sealer, session_keys, welcome_sealer
from nunchi.wire.payload import Payload
from nunchi.wire.payload_encoder import PayloadEncoder, Round, Sender
from nunchi.wire.remote_write import encode_write_request

RESULTS = Path(__file__).parent / "results" / "udp.json"
LINES = 2_000_000
DATAGRAM_BYTES = 1400
SERIES = 500
SECONDS = 6.0
START_SECONDS_MAX = 20.0
DRAINING_SECONDS = 1.0  # for what still waits in the socket when the last datagram is sent
PACK_SERIES, PACK_ROUNDS = 5000, 60
HISTOGRAMS = 200
AGENT = """
import asyncio, random, sys
from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.statsd import Statsd
from nunchi.agent.emission import Emission
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry

async def main():
    settings = StatsdSettings(udp=(f"127.0.0.1:{sys.argv[1]}",))
    telemetry = Telemetry()
    statsd = Statsd(settings, 10.0, SystemClock(), random.Random(), telemetry, logger("statsd"))
    task = asyncio.create_task(statsd.run())
    while True:
        await asyncio.sleep(1)
        emission = Emission()
        statsd.aggregation.emit(emission)
        lines = telemetry.find("agent_statsd_lines_total").total()
        print(int(lines), flush=True)

asyncio.run(main())
"""


def lines() -> list[bytes]:
    source = random.Random(1)
    kinds = ("requests:1|c", "latency:{}|ms", "waiting:{}|g", "sampled:1|c|@0.1")
    return [
        f"service.web{source.randrange(SERIES // len(kinds))}.{source.choice(kinds).format(source.randrange(1000))}".encode()
        for _ in range(LINES)
    ]


def datagrams() -> list[bytes]:
    found, part = [], b""
    for line in lines():
        if len(part) + len(line) + 1 > DATAGRAM_BYTES:
            found.append(part)
            part = b""
        part = part + b"\n" + line if part else line
    return [*found, part]


def socket_fields(port: int) -> list[str]:
    """What the kernel says of the socket that has a UDP port; empty where none has it."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port:
            return fields
    return []


def drops(port: int) -> int:
    return int((socket_fields(port) or ["0"])[-1])


def wait_bound(port: int) -> None:
    """Until somebody listens."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while not socket_fields(port):
        assert time.monotonic() < deadline, f"nobody listens on port {port}"
        time.sleep(0.02)  # until the kernel is asked again, up to the deadline


@contextlib.contextmanager
def statsd_server(name: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes] | None]:
    command: list[str] | None = None
    if name == "nunchi":
        command = [sys.executable, "-c", AGENT, str(port)]
    elif name == "statsd (npm)" and os.environ.get("STATSD_FOLDER"):
        (folder / "config.js").write_text(
            f"{{port: {port}, address: '127.0.0.1', mgmt_port: {free_port()},"
            " backends: ['./backends/console'], flushInterval: 10000}"
        )
        command = ["node", "stats.js", str(folder / "config.js")]
    elif name == "collectd" and (program := find_program("collectd")):
        (folder / "collectd.conf").write_text(
            f'BaseDir "{folder}"\nPIDFile "{folder}/pid"\nInterval 10\nLoadPlugin statsd\nLoadPlugin csv\n'
            f'<Plugin statsd>\nHost "127.0.0.1"\nPort "{port}"\n</Plugin>\n<Plugin csv>\nDataDir "{folder}/csv"\n</Plugin>\n'
        )
        command = [program, "-f", "-C", str(folder / "collectd.conf")]
    if command is None:
        yield None
        return
    where = Path(os.environ["STATSD_FOLDER"]) / "node_modules" / "statsd" if name == "statsd (npm)" else folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, cwd=where, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_bound(port)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def measure_statsd(name: str, found: list[bytes]) -> dict[str, float] | None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port(socket.SOCK_DGRAM)
        with statsd_server(name, Path(folder), port) as process:
            if process is None:
                return None
            began = cpu_seconds(process.pid)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", port))
                sender.setblocking(False)
                steps = int(SECONDS / 0.005)
                size = -(-len(found) // steps)
                for at in range(0, len(found), size):
                    send_datagrams(sender.fileno(), found[at : at + size])
                    time.sleep(0.005)
            time.sleep(DRAINING_SECONDS)  # what waits in the socket costs its reader as well
            used = cpu_seconds(process.pid) - began
            lost = drops(port)
            return {
                "metrics_a_cpu_second": round((len(found) - lost) * LINES / len(found) / used),
                "cpu_seconds": round(used, 2),
                "datagrams_dropped": lost,
                "resident_mb": round(resident_mb(process.pid), 1),
            }


class Keys:
    def keys_of(self, agent_id: str) -> list[PackKey]:
        return [PackKey(b"k" * 32)]


def open_session(server: PackServer, mode: PackMode) -> UdpSession:
    """An agent's side of a session that the server has confirmed."""
    salt, key = bytes(16), b"k" * 32
    head = FirstHead(mode, PackKind.HELLO, salt, "a" * 32).encode()
    hello = head + hello_sealer(key, salt, mode).seal(pack.NO_NONCE, pack.HELLO_BODY.pack(0) + bytes(120), head)
    (answer,) = server.receive(hello, b"", "")
    _, head_bytes, sealed = pack.split_first(answer)
    opened = welcome_sealer(key, salt, mode).open(sealed[:12], sealed[12:], head_bytes)
    keys = session_keys(key, salt, pack.decode_welcome(opened).cookie, mode)
    head = FirstHead(mode, PackKind.CONFIRM, salt, "a" * 32).encode()
    confirm = pack.encode_confirm(Confirm(1, 1, 10_000, "web", "0"))
    server.receive(head + keys.to_server.seal(pack.NO_NONCE, confirm, head), b"", "")
    return UdpSession(keys, mode, pack.DATAGRAM_BYTES)


def move_on(values: list[float], source: random.Random) -> None:
    """Counters grow, gauges move, a third rests."""
    for column in range(len(values)):
        if column % 3 == 0:
            values[column] += source.randrange(2000)
        elif column % 3 == 1:
            values[column] = round(source.random() * 100, 2)


def measure_packs(mode: PackMode) -> dict[str, float]:
    """Rounds of one agent; both ends in one process, each timed alone."""
    source, clock = random.Random(1), SystemClock()
    stored = 0

    def store(payload: Payload, _: str) -> Acknowledgement:
        nonlocal stored
        stored += payload.samples
        return Acknowledgement(payload.samples, 0, {})

    server = PackServer(Keys(), store, clock, source, PackTelemetry(Telemetry()))
    session = open_session(server, mode)

    layout = Layout()
    for number in range(PACK_SERIES):
        layout.append(Labels.of("node_metric_total", job="node", device=f"disk{number}").key())
    columns = array("i", range(PACK_SERIES))
    values = [float(source.randrange(10**7)) for _ in range(PACK_SERIES)]
    sending = receiving = 0.0
    size = datagram_count = steady_samples = 0
    others: dict[str, float] = {}
    for number in range(PACK_ROUNDS):
        move_on(values, source)
        one = Round(1_700_000_000_000 + 10_000 * number, layout, columns, array("d", values))
        began = time.process_time()
        sent = session.begin_round(one, number * PACK_SERIES, {})
        found = session.datagrams(sent, 10_000, 0)
        middle = time.process_time()
        answers = [answer for datagram in found for answer in server.receive(datagram, b"", "10.0.0.1")]
        ended = time.process_time()
        for answer in answers:
            session.take_answer(session.open_answer(answer), sent)
        if number >= 2:
            sending += middle - began
            receiving += ended - middle
            size += sum(map(len, found))
            datagram_count += len(found)
            steady_samples += PACK_SERIES
            if number == PACK_ROUNDS - 1:
                others = {name: round(count / PACK_SERIES, 2) for name, count in sizes_elsewhere(one).items()}
    assert stored == PACK_SERIES * PACK_ROUNDS
    return {
        "agent_samples_a_cpu_second": round(steady_samples / sending),
        "server_samples_a_cpu_second": round(steady_samples / receiving),
        "bytes_a_sample": round(size / steady_samples, 2),
        "samples_a_datagram": round(steady_samples / datagram_count),
        **others,
    }


def sizes_elsewhere(one: Round) -> dict[str, int]:
    """The bytes of one round in other formats, each as its senders write it."""
    cells = [(one.layout.labels(column), value) for column, value in zip(one.columns, one.values, strict=True)]
    statsd = [
        f"{labels.metric_name}:{value}|g|#job:{labels['job']},device:{labels['device']}\n" for labels, value in cells
    ]
    message = encode_write_request((labels, [(one.timestamp_ms, value)]) for labels, value in cells)
    documents = [
        {"name": labels.metric_name, "labels": {"job": labels["job"], "device": labels["device"]}, "value": value,
         "timestamp_ms": one.timestamp_ms}
        for labels, value in cells
    ]  # fmt: skip
    text = json.dumps({"samples": documents}, separators=(",", ":")).encode()
    payload = PayloadEncoder(Sender("a" * 32, "web", "0", 1)).encode(0, 10_000, [one])
    return {
        "bytes_a_sample_as_statsd": sum(map(len, statsd)),
        "bytes_a_sample_as_remote_write": len(encode(Encoding.SNAPPY, message)),
        "bytes_a_sample_as_json": len(text),
        "bytes_a_sample_as_json_gzipped": len(gzip.compress(text, 6)),
        "bytes_a_sample_as_payload_of_one_round": len(payload),
    }


def measure_histograms() -> dict[str, float]:
    """Timers as native histograms, as parts in packs, both ends timed alone, beside a payload of the same round."""
    source, layout = random.Random(1), Layout()
    for number in range(HISTOGRAMS):
        layout.append(Labels.of("request_seconds", route=f"/{number}", job="statsd").key())
    columns, buckets = array("i", range(HISTOGRAMS)), [dict[int, float]() for _ in range(HISTOGRAMS)]
    sent, received, base, known = HistogramParts(), PartColumns(), array("d"), 0
    sending = receiving = 0.0
    size = payload_size = cells = 0
    encoder = PayloadEncoder(Sender("a" * 32, "web", "0", 1))
    for number in range(PACK_ROUNDS):
        rows = [observed(own, source) for own in buckets]
        began = time.process_time()
        part_columns, values = sent.cells(layout, columns, rows)
        bodies = [
            *pack.encode_dictionary(1, known, sent.keys[known:], 1192),
            *pack.encode_data(1, number + 1, number, 0, 0, part_columns, values, base, 1192),
        ]
        middle = time.process_time()
        received.add(sent.keys[known:])
        received.assemble(np.frombuffer(part_columns, np.int32), np.frombuffer(values))
        ended = time.process_time()
        base, known = array("d", pack.spread(part_columns, values)), len(sent.keys)
        if number >= PACK_ROUNDS // 2:
            sending, receiving = sending + middle - began, receiving + ended - middle
            size += sum(len(body) + pack.HEAD.size + SEAL_BYTES for body in bodies)
            cells += len(values)
            one = Round(0, layout, columns, array("d", bytes(8 * HISTOGRAMS)), histograms=tuple(rows))
            payload_size += len(encoder.encode(0, 10_000, [one]))
    count = HISTOGRAMS * (PACK_ROUNDS - PACK_ROUNDS // 2)
    return {
        "parts_a_histogram": round(cells / count),
        "bytes_a_histogram": round(size / count, 1),
        "bytes_a_histogram_as_payload": round(payload_size / count, 1),
        "agent_histograms_a_cpu_second": round(count / sending),
        "server_histograms_a_cpu_second": round(count / receiving),
    }


def observed(own: dict[int, float], source: random.Random) -> Histogram:
    """One more round of 50 observations."""
    for _ in range(50):
        index = round(source.gauss(-20, 12))
        own[index] = own.get(index, 0.0) + 1
    indexes, count = sorted(own), sum(own.values())
    counts = tuple(own[index] for index in indexes)
    return Histogram(3, count, count * 0.0517, 2.0**-128, 0.0, spans_over(indexes), counts)


def main() -> None:
    found = datagrams()
    results: dict[str, object] = {"lines": LINES, "datagrams": len(found)}
    for name in ("nunchi", "statsd (npm)", "collectd"):
        measured = measure_statsd(name, found)
        if measured is not None:
            results[name] = measured
            print(f"{name:14} {measured}")
    for mode in PackMode:
        results[f"packs ({mode.value})"] = measured_packs = measure_packs(mode)
        print(f"packs ({mode.value})   {measured_packs}")
    results["histograms in packs"] = measured_histograms = measure_histograms()
    print(f"histograms     {measured_histograms}")
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
