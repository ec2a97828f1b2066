"""The agent as one process of a host: a lock that says which it is, and how another program starts, finds and ends it.

Invariant: whether an agent runs is told by its lock alone; the number in the file is believed only while the lock is held.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError, DiskLock, DiskLocked, DiskMissing
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import Logger

LOCK_FILE, READY_FILE, LOG_FILE = "agent.lock", "agent.ready", "agent.log"
START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.05
LOCK_ATTEMPTS = 5
LOG_BYTES_SHOWN = 2000


class ProcessError(WorldError):
    """The agent did not start or end as it should."""


async def lock_process(state_folder: Path, disk: Disk, clock: Clock, log: Logger) -> DiskLock | None:
    """Be the agent of this folder. Raises DiskLocked where another is; None where the folder takes no lock."""
    try:
        disk.make_folder(state_folder)
        return await _lock_patiently(state_folder / LOCK_FILE, disk, clock)
    except DiskLocked:
        raise
    except DiskError as error:
        log.warning("nothing can be kept here: what waits for the server is held in memory", error=error)
        return None


async def _lock_patiently(path: Path, disk: Disk, clock: Clock) -> DiskLock:
    """Who only looks whether an agent runs holds the lock for a moment."""
    for _ in range(LOCK_ATTEMPTS - 1):
        try:
            return disk.lock(path)
        except DiskLocked:
            await clock.sleep(LOOK_SECONDS)
    return disk.lock(path)


def find_process(state_folder: Path, disk: Disk) -> int | None:
    """The number of the process that is the agent of this folder; None where none is. Raises DiskError."""
    path = state_folder / LOCK_FILE
    if disk.size(path) is None:
        return None
    try:
        disk.lock(path).release()
    except DiskLocked:
        return _written_number(path, disk)
    except DiskMissing:
        return None
    return None


def _written_number(path: Path, disk: Disk) -> int | None:
    try:
        text = disk.read(path).decode("ascii", "replace").strip()
    except DiskMissing:
        return None
    return int(text) if text.isdecimal() else None


def note_ready(state_folder: Path, disk: Disk, log: Logger) -> None:
    """Say to who waits for it that this process is the agent of the folder, with all its parts."""
    try:
        disk.write_atomically(state_folder / READY_FILE, f"{os.getpid()}\n".encode())
    except DiskError as error:
        log.warning("nobody who waits for the start hears of it", error=error)


async def start_process(words: Sequence[str], state_folder: Path, disk: Disk, clock: Clock) -> int:
    """Start `nunchi` with these words as a process of its own, and wait until it is the agent of the folder and runs."""
    running = find_process(state_folder, disk)
    if running is not None:
        raise ProcessError(f"an agent runs already, as process {running}: stop it first")
    disk.make_folder(state_folder)
    path = state_folder / LOG_FILE
    program = [sys.executable, "-c", "from nunchi.cli import main; main()", *words]
    with path.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(  # noqa: S603, ASYNC220 (our own program; nothing else runs meanwhile)
            program, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    deadline = clock.monotonic() + START_SECONDS_MAX
    while clock.monotonic() < deadline:
        if _written_number(state_folder / READY_FILE, disk) == process.pid:  # it has the lock, and all its parts run
            return process.pid
        if process.poll() is not None:
            said = disk.read(path, begin).decode(errors="replace").strip()[-LOG_BYTES_SHOWN:]
            raise ProcessError(f"the agent ended at once, it said: {said}")
        await clock.sleep(LOOK_SECONDS)
    raise ProcessError(f"process {process.pid} did not become the agent within {START_SECONDS_MAX:g} s: see {path}")


async def stop_process(state_folder: Path, disk: Disk, clock: Clock) -> int | None:
    """Ask the agent of this folder to end and wait for it; None where none runs."""
    running = find_process(state_folder, disk)
    if running is None:
        return None
    try:
        os.kill(running, signal.SIGTERM)
    except PermissionError as error:
        raise ProcessError(f"process {running} belongs to another user: stop it as that user") from error
    except ProcessLookupError:
        pass
    deadline = clock.monotonic() + STOP_SECONDS_MAX
    while clock.monotonic() < deadline:
        if find_process(state_folder, disk) != running:
            return running
        await clock.sleep(LOOK_SECONDS)
    raise ProcessError(f"process {running} has not ended within {STOP_SECONDS_MAX:g} s: see {state_folder / LOG_FILE}")
