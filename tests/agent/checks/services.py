"""Real services for the tests of checks, each started on loopback and ended with its whole process group; and what a check
shows of one beside what the well-known exporter shows.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.agent.frozen import Series, parse_text
from tests.peers import find_peer

from nunchi.agent.check import Check, Context
from nunchi.agent.emission import Emission
from nunchi.agent.root import Root
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger

START_SECONDS_MAX = 20.0
Types = dict[str, str]
Samples = dict[Series, float]


@dataclass(frozen=True)
class Measured:
    """What one run of a check showed."""

    samples: Samples
    types: Types
    error: Exception | None
    seconds: float

    def value(self, name: str, /, **labels: str) -> float:
        """The value of one series."""
        return self.samples[name, tuple(sorted(labels.items()))]

    def of(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """All series of one metric, by labels."""
        return {labels: value for (found, labels), value in self.samples.items() if found == name}

    def names(self) -> set[str]:
        """The metrics shown."""
        return {name for name, _ in self.samples}


def measure(check: Check, root: Root | None = None, deadline_seconds: float = 5.0) -> Measured:
    """One run, its failure caught; no series may be shown twice."""
    emission, error = Emission(labels=check.settings.labels), None
    began = time.monotonic()
    try:
        check.run(Context(emission, SystemClock(), root or Root(), logger("test"), deadline_seconds))
    except Exception as caught:
        error = caught
    samples: Samples = {}
    for name, labels, value in emission.samples:
        series = (name, tuple(sorted(pair for pair in labels if pair[1])))
        assert series not in samples, series
        samples[series] = value
    types = {name: "untyped" if kind.value == "unknown" else kind.value for name, kind in emission.types.items()}
    return Measured(samples, types, error, time.monotonic() - began)


@contextlib.contextmanager
def started(
    command: Sequence[str],
    is_ready: Callable[[], bool],
    log: Path,
    environment: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, from when it is ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command} does not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def listens(port: int) -> Callable[[], bool]:
    """Whether something accepts connections on a port of loopback."""

    def is_listening() -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return is_listening


def exposition(url: str) -> tuple[Samples, Types]:
    """What an exporter serves."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return parse_text(answer.read().decode())


def find_exporter(least: tuple[int, int], *names: str) -> str:
    """The path of an exporter of this version or later; skips the test where there is only an older one."""
    program = find_peer(*names)
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"version (\d+)\.(\d+)", answer.stdout + answer.stderr)
    if version is None or (int(version[1]), int(version[2])) < least:
        pytest.skip(f"{program} is older than {least[0]}.{least[1]}, whose exposition is the measure")
    return program


def assert_alike(
    ours: Measured, theirs: tuple[Samples, Types], prefixes: tuple[str, ...], exceptions: Mapping[str, str]
) -> None:
    """Every series of the exporter below these prefixes is one of ours, of the same type; exceptions have a reason."""
    their_samples, their_types = theirs
    wanted = {series for series in their_samples if series[0].startswith(prefixes) and series[0] not in exceptions}
    assert len(wanted) > 0
    missing = sorted(wanted - ours.samples.keys())
    assert missing == []
    names = {name for name, _ in wanted}
    other_types = {
        name: (ours.types[name], their_types[name])
        for name in names & their_types.keys()
        if ours.types[name] != their_types[name]
    }
    assert other_types == {}


@contextlib.contextmanager
def silent_peer() -> Iterator[int]:
    """A port that accepts and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@contextlib.contextmanager
def saying_peer(answer: bytes) -> Iterator[int]:
    """A port where every connection is told the same bytes and closed."""
    import threading

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    is_open = True

    def serve() -> None:
        while is_open:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(2)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        is_open = False
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
