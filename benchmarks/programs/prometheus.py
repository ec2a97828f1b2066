"""A Prometheus that is written to and asked over HTTP."""

import contextlib
import http.client
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import cramjam
import numpy as np

from nunchi.model.labels import Labels
from programs.process import find_program, free_port

LIMIT_SECONDS = 120
READY_SECONDS_MAX = 30


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def write_request(series: list[Labels], times: np.ndarray, values: np.ndarray) -> bytes:
    """A remote write request. Timestamps of this century are varints of six bytes, so that samples have one size."""
    sample = np.zeros((len(times), 18), np.uint8)
    sample[:, 0], sample[:, 1], sample[:, 2], sample[:, 11] = 0x12, 16, 0x09, 0x10
    for byte in range(6):
        sample[:, 12 + byte] = (times >> (7 * byte)) & 127 | (128 if byte < 5 else 0)
    parts = []
    for column, labels in enumerate(series):
        sample[:, 3:11] = np.ascontiguousarray(values[:, column]).view(np.uint8).reshape(-1, 8)
        pairs = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels.pairs)
        parts.append(field(1, pairs + sample.tobytes()))
    return b"".join(parts)


class Prometheus:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)

    def is_ready(self) -> bool:
        """Whether it has loaded what it has."""
        try:
            self._connection.request("GET", "/-/ready")
            answer = self._connection.getresponse()
            answer.read()
        except OSError:
            self._connection.close()
            return False
        return answer.status == 200

    def write(self, body: bytes) -> None:
        """Remote write."""
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        self._connection.request("POST", "/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 204), text

    def query(self, expression: str, end: float, steps: int = 1, step_seconds: float = 0) -> bytes:
        """The body of an instant query, or of a range query where there are several steps."""
        path, given = "query", {"time": end}
        if steps > 1:
            path = "query_range"
            given = {"start": end - (steps - 1) * step_seconds, "end": end, "step": step_seconds}
        self._connection.request("GET", f"/api/v1/{path}?{urlencode({'query': expression, **given})}")
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:300]
        return body


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[Prometheus]:
    """One that is ready, over a folder of its own; ended afterwards."""
    program = find_program("prometheus")
    assert program, "prometheus is not installed"
    port = free_port()
    (folder / "prometheus.yml").write_text("global: {}\n")
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
            "--log.level=error",
        ]
    )
    try:
        server, deadline = Prometheus(port), time.monotonic() + READY_SECONDS_MAX
        while not server.is_ready():
            assert time.monotonic() < deadline, "prometheus does not become ready"
            time.sleep(0.05)  # until it is asked again, up to the deadline
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
