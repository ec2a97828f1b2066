"""Reading remote-write requests: microseconds a sample on one core, for snappy, for the decoding, and beside a Python walk.

Takes about half a minute. Results go to benchmarks/results/remote_write.json.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from nunchi.model.labels import Labels
from nunchi.wire.compression import decode, encode
from nunchi.wire.remote_write import RemoteWriteReader, encode_write_request

RESULTS = Path(__file__).parent / "results" / "remote_write.json"
SECONDS = 1.5
BODY_BYTES_MAX = 64 << 20


def request(host: int, samples: int, timestamp_ms: int) -> bytes:
    """One sample each of a host's series, with labels as senders have them."""
    series = []
    for number in range(samples):
        labels = {
            "__name__": f"node_cpu_seconds_total_{number % 40}",
            "cpu": str(number % 64),
            "instance": f"host-{host}.example.org:9100",
            "job": "node",
            "mode": f"mode{number // 64}",
            "region": "eu-west-1",
        }
        series.append((Labels(labels), [(timestamp_ms, number * 1.5)]))
    return encode_write_request(series)


def walk(body: bytes) -> int:
    """What a Python loop needs to find the borders of the time series alone."""
    at = count = 0
    while at < len(body):
        at += 1
        length = shift = 0
        while True:
            byte = body[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
        count += 1
    return count


def microseconds(read: Callable[[], object], samples: int) -> float:
    """Of the fastest of many rounds, a sample."""
    read()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        read()
        best = min(best, (time.perf_counter() - start) / samples * 1e6)
    return best


def main() -> None:
    one_thousand, two_thousand = request(0, 1000, 1), request(0, 2000, 1)
    compressed = encode("snappy", two_thousand)
    hosts = [request(host, 1000, 1) for host in range(200)]
    reader, many, turned = RemoteWriteReader(), RemoteWriteReader(), RemoteWriteReader()
    backwards = b"".join(reversed(_series_of(two_thousand)))
    cases: dict[str, tuple[Callable[[], object], int]] = {
        "decode, 1,000 samples a body": (lambda: reader.read(one_thousand), 1000),
        "decode, 2,000 samples a body": (lambda: reader.read(two_thousand), 2000),
        "decode, 2,000 samples, order turned each time": (
            lambda: (turned.read(two_thousand), turned.read(backwards)),
            4000,
        ),
        "decode, 200 bodies, 200,000 series": (lambda: [many.read(body) for body in hosts], 200_000),
        "decode, all series new": (lambda: RemoteWriteReader().read(two_thousand), 2000),
        "snappy": (lambda: decode("snappy", compressed, BODY_BYTES_MAX), 2000),
        "Python walk over the borders of series": (lambda: walk(two_thousand), 2000),
    }
    results = {}
    for name, (read, samples) in cases.items():
        results[name] = round(microseconds(read, samples), 4)
        print(f"{name:50} {results[name]:8.4f} us/sample")
    ratio = round(results["Python walk over the borders of series"] / results["decode, 2,000 samples a body"], 1)
    print(f"{'times faster than the Python walk':50} {ratio:8.1f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"microseconds_per_sample": results, "ratio_to_python_walk": ratio}, indent=2) + "\n")


def _series_of(body: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(body):
        begin = at
        length = body[at + 1]
        at += 2
        if length >= 0x80:
            length = length & 0x7F | body[at] << 7
            at += 1
        at += length
        parts.append(body[begin:at])
    return parts


if __name__ == "__main__":
    main()
