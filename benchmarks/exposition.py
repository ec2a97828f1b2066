"""Reading expositions: lines a second on one core, beside a Python loop that only splits lines and reads floats.

Protobuf is measured beside the text of the same series: how many times longer a body takes. Takes about half a minute. Results
go to benchmarks/results/exposition.json.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from nunchi.wire.exposition import ExpositionFormat, ExpositionReader
from nunchi.wire.metric_families import FamilyReader
from nunchi.wire.prometheus_proto import bytes_field, double_field, encode_varint, integer_field, text_field

RESULTS = Path(__file__).parent / "results" / "exposition.json"
SECONDS = 1.5
OPEN_METRICS = ExpositionFormat.OPEN_METRICS


def host_page(cores: int = 8, disks: int = 6, generation: int = 0, *, is_open: bool = False) -> bytes:
    """About what a host's exporter serves: 40 % metadata lines, long and short labels, integers and fractions."""
    lines = []
    for family in range(60):
        lines.append(f"# HELP node_family_{family}_total Something that is counted on this host, number {family}.")
        lines.append(
            f"# TYPE node_family_{family} counter" if is_open else f"# TYPE node_family_{family}_total counter"
        )
        for core in range(cores if family % 3 == 0 else 1):
            labels = f'{{cpu="{core}",mode="mode{family}"}}' if family % 3 == 0 else ""
            lines.append(f"node_family_{family}_total{labels} {12345.67 * (family + core + 1) + generation:.2f}")
    lines += [
        f'node_disk_bytes{{device="nvme{disk}n1",fstype="ext4",mountpoint="/var/lib/data/{disk}"}} 1.{disk}29384e+12'
        for disk in range(disks)
    ]
    lines.append('go_gc_duration_seconds{quantile="0.5"} 6.8921e-05')
    return ("\n".join(lines) + ("\n# EOF\n" if is_open else "\n")).encode()


def wide_page(series: int, generation: int = 0) -> bytes:
    """Nothing but samples of one family."""
    label = 'handler="/api/v1/query",method="get",status="200",instance="10.0.0.1:9100"'
    return "".join(
        f'http_requests_total{{number="{n}",{label}}} {n * 31 + generation}\n' for n in range(series)
    ).encode()


def wide_families(series: int, generation: int = 0) -> bytes:
    """What `wide_page` says, as protobuf."""
    labels = {"handler": "/api/v1/query", "method": "get", "status": "200", "instance": "10.0.0.1:9100"}
    metrics = []
    for n in range(series):
        pairs = {"number": str(n), **labels}.items()
        own = b"".join(bytes_field(1, text_field(1, name) + text_field(2, value)) for name, value in pairs)
        metrics.append(bytes_field(4, own + bytes_field(3, double_field(1, float(n * 31 + generation)))))
    body = text_field(1, "http_requests_total") + integer_field(3, 0) + b"".join(metrics)
    return encode_varint(len(body)) + body


def protobuf_ratio(series: int = 1000) -> float:
    """How many times longer protobuf takes than text, in steady state, by the best of interleaved rounds."""
    texts, families = ExpositionReader(), FamilyReader()
    pairs = [(wide_page(series, generation), wide_families(series, generation)) for generation in (0, 7)]
    best = [float("inf"), float("inf")]
    for turn in range(4000):
        text, encoded = pairs[turn % 2]
        began = time.process_time_ns()
        texts.read(text)
        between = time.process_time_ns()
        families.read(encoded)
        ended = time.process_time_ns()
        best = [min(best[0], between - began), min(best[1], ended - between)]
    return round(best[1] / best[0], 2)


def split_only(body: bytes) -> float:
    """The least that a Python loop can do."""
    total = 0.0
    for line in body.decode().split("\n"):
        if line and line[0] != "#":
            total += float(line.rpartition(" ")[2])
    return total


def rate(read: Callable[[], object], lines: int) -> float:
    """Lines a second."""
    read()
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        for _ in range(5):
            read()
        best = max(best, 5 * lines / (time.perf_counter() - start))
    return best


def steady(bodies: list[bytes], exposition_format: ExpositionFormat) -> Callable[[], object]:
    """Bodies in turn, all with the same series."""
    reader, turn = ExpositionReader(), iter(range(1 << 60))
    return lambda: reader.read(bodies[next(turn) % len(bodies)], exposition_format)


def cases() -> dict[str, tuple[Callable[[], object], bytes]]:
    text, wide = ExpositionFormat.TEXT, wide_page(20_000)
    host, host_open = host_page(), host_page(is_open=True)
    shuffled = b"".join(reversed(wide.splitlines(keepends=True)))
    return {
        "host, steady": (steady([host, host_page(generation=7)], text), host),
        "host, OpenMetrics, steady": (
            steady([host_open, host_page(generation=7, is_open=True)], OPEN_METRICS),
            host_open,
        ),
        "20,000 series, steady": (steady([wide, wide_page(20_000, 7)], text), wide),
        "20,000 series, every other time in another order": (steady([wide, shuffled], text), wide),
        "20,000 series, all new": (lambda: ExpositionReader().read(wide), wide),
        "Python loop over host": (lambda: split_only(host), host),
        "Python loop over 20,000 series": (lambda: split_only(wide), wide),
    }


def main() -> None:
    results = {}
    for name, (read, body) in cases().items():
        lines = body.count(b"\n")
        per_second = rate(read, lines)
        results[name] = {
            "lines": lines,
            "million_lines_per_second": round(per_second / 1e6, 2),
            "megabytes_per_second": round(per_second * len(body) / lines / 1e6),
        }
        print(f"{name:50} {per_second / 1e6:8.2f} M lines/s {per_second * len(body) / lines / 1e6:8.0f} MB/s")
    million = {name: result["million_lines_per_second"] for name, result in results.items()}
    ratio = round(million["host, steady"] / million["Python loop over host"], 1)
    print(f"{'host, steady: times the Python loop':50} {ratio:8.1f}")
    protobuf = protobuf_ratio()
    print(f"{'1,000 series as protobuf: times as long as the text':50} {protobuf:8.2f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({**results, "ratio_to_python_loop": ratio, "protobuf_to_text": protobuf}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
