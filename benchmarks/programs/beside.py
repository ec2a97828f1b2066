"""Programs that run beside each other for a while, and what each was found to cost."""

import asyncio
import signal
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from programs.process import cpu_seconds, resident_mb

STARTS = 5
START_SECONDS_MAX = 20


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
        processes = [self.process.pid, *map(int, children)]
        return sum(map(cpu_seconds, processes)), sum(map(resident_mb, processes))


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
