"""Hosts with real links between them on one machine: network namespaces around a switch, faults by iptables, a slow wire.

What happens to packets is the kernel's doing and counted by it, so that a test can hold our counters against its own.
Invariant: whatever a test does, its namespaces and what runs in them are gone when the block ends.
"""

import asyncio
import contextlib
import ctypes
import heapq
import os
import queue
import random
import secrets
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
STOP_SECONDS_MAX = 10
START_SECONDS_MAX = 30
Result = TypeVar("Result")


class Host:
    """One namespace. `name` is that of the test, `address` is where the others reach it."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name = name
        self.address = address
        self.processes: list[subprocess.Popen[bytes]] = []
        self._namespace = namespace

    def run(self, *words: str) -> str:
        """Run a program to its end; what it printed."""
        command = ["ip", "netns", "exec", self._namespace, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def spawn(
        self, words: Sequence[str], log: Path, environment: dict[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a program; it is ended with the network at the latest."""
        command = ["ip", "netns", "exec", self._namespace, *words]
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
        self.processes.append(process)
        return process

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function with this host's network: what sockets it opens stay here, whoever uses them."""
        found: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def enter_and_call() -> None:
            try:
                self._enter()
                found.put((True, function(*arguments)))
            except BaseException as error:
                found.put((False, error))

        thread = threading.Thread(target=enter_and_call, daemon=True)
        thread.start()
        is_well, result = found.get()
        if not is_well:
            raise result
        return result  # type: ignore[no-any-return]  # of the function, by way of a queue

    def fetch(self, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """What a URL answers, asked from this host. Raises OSError."""
        request = urllib.request.Request(url, body, headers or {})

        def ask() -> bytes:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=5) as response:
                content: bytes = response.read()
                return content

        return self.call(ask)

    def wait_answer(self, url: str) -> None:
        """Wait until a URL answers 200."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.fetch(url)
                return
            time.sleep(0.05)
        pytest.fail(f"{url} does not answer on {self.name}")

    # Faults.

    def lose(self, protocol: str, port: int, share: float) -> None:
        """Of what comes in for a port, lose this share at random."""
        self._drop(protocol, port, "random", "--probability", f"{share:.6f}")

    def lose_every(self, protocol: str, port: int, number: int) -> None:
        """Of what comes in for a port, lose the last of so many, again and again."""
        self._drop(protocol, port, "nth", "--every", str(number), "--packet", str(number - 1))

    def _drop(self, protocol: str, port: int, mode: str, *words: str) -> None:
        self.run(
            "iptables", "-A", "INPUT", "-i", "eth0", "-p", protocol, "--dport", str(port),
            "-m", "statistic", "--mode", mode, *words, "-j", "DROP",
        )  # fmt: skip

    def cut(self) -> None:
        """Nothing comes in any more, but from itself."""
        self.run("iptables", "-I", "INPUT", "-i", "eth0", "-j", "DROP")

    def lost(self) -> int:
        """How many packets the kernel has dropped by these rules since they stand."""
        lines = self.run("iptables", "-L", "INPUT", "-n", "-v", "-x").splitlines()[2:]
        return sum(int(line.split()[0]) for line in lines)

    def heal(self) -> None:
        """Take all that comes in."""
        self.run("iptables", "-F", "INPUT")

    def end(self) -> None:
        """End what was started here."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _enter(self) -> None:
        """Only this thread changes its network."""
        library = ctypes.CDLL(None, use_errno=True)
        with (NAMESPACES / self._namespace).open() as namespace:
            if library.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def network(*names: str) -> Iterator[tuple[Host, ...]]:
    """Hosts of these names that reach each other; skips the test where namespaces are not permitted."""
    for program in ("ip", "iptables"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install iproute2 iptables")
    prefix = f"nunchi-{secrets.token_hex(4)}"
    switch = f"{prefix}-switch"
    made: list[str] = []
    hosts: list[Host] = []
    try:
        try:
            _ip("netns", "add", switch)
            made.append(switch)
            _ip("-n", switch, "link", "add", "switch", "type", "bridge")
            _ip("-n", switch, "link", "set", "switch", "up")
            for number, name in enumerate(names, 1):
                hosts.append(_plug_in(name, f"{prefix}-{name}", switch, number, made))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
        yield tuple(hosts)
    finally:
        for host in hosts:
            host.end()
        for namespace in reversed(made):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def _plug_in(name: str, namespace: str, switch: str, number: int, made: list[str]) -> Host:
    address = f"10.111.0.{number}"
    _ip("netns", "add", namespace)
    made.append(namespace)
    _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
    _ip("-n", switch, "link", "set", f"port{number}", "master", "switch", "up")
    _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", namespace, "link", "set", device, "up")
    host = Host(name, namespace, address)
    try:
        host.heal()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"iptables is not permitted here: {error.stderr.strip()}")
    return host


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Weather:
    """What a slow wire does: shares of datagrams that come late, by up to so many seconds, that come twice, or damaged."""

    delayed: float = 0.0
    delay_seconds_max: float = 0.2
    repeated: float = 0.0
    damaged: float = 0.0


@dataclass
class SlowWire:
    """A proxy of UDP on one host to an address elsewhere, which delays, reorders, repeats and damages; what it lost is 0."""

    host: Host
    target: tuple[str, int]
    seed: int = 0
    weather: Weather = field(default_factory=Weather)
    carried: int = 0
    repeated: int = 0
    damaged: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._random = random.Random(self.seed)
        self._is_open = True
        self._inside = self.host.call(_open_udp)
        self._inside.bind(("127.0.0.1", 0))
        self.port = self._inside.getsockname()[1]
        self._outside = self.host.call(_open_udp)
        self._outside.connect(self.target)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._carry()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        self._thread.join(STOP_SECONDS_MAX)
        self._inside.close()
        self._outside.close()

    async def _carry(self) -> None:
        loop, waiting, number = asyncio.get_running_loop(), list[tuple[float, int, bytes, bool]](), 0
        peer: Any = None

        def take_inside() -> None:
            nonlocal peer
            while (found := _receive(self._inside)) is not None:
                datagram, peer = found
                self.carried += 1
                put(datagram, is_outward=True)

        def take_outside() -> None:
            while (found := _receive(self._outside)) is not None:
                put(found[0], is_outward=False)

        def put(datagram: bytes, *, is_outward: bool) -> None:
            nonlocal number
            weather, source = self.weather, self._random
            is_twice = source.random() < weather.repeated
            self.repeated += is_outward and is_twice
            for copy in range(1 + is_twice):
                one = datagram
                if not copy and source.random() < weather.damaged:
                    at = source.randrange(len(one))
                    one = one[:at] + bytes([one[at] ^ 1 << source.randrange(8)]) + one[at + 1 :]
                    self.damaged += is_outward
                delay = source.random() * weather.delay_seconds_max if source.random() < weather.delayed else 0.0
                number += 1
                heapq.heappush(waiting, (loop.time() + delay, number, one, is_outward))

        loop.add_reader(self._inside, take_inside)
        loop.add_reader(self._outside, take_outside)
        while self._is_open:
            while waiting and waiting[0][0] <= loop.time():
                _, _, datagram, is_outward = heapq.heappop(waiting)
                with contextlib.suppress(OSError):
                    if is_outward:
                        self._outside.send(datagram)
                    elif peer is not None:
                        self._inside.sendto(datagram, peer)
            await asyncio.sleep(0.001)


def _open_udp() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.setblocking(False)
    return opened


def _receive(opened: socket.socket) -> tuple[bytes, Any] | None:
    try:
        return opened.recvfrom(1 << 16)
    except OSError:
        return None
