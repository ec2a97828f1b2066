"""Where tests find real programs to talk to, and free ports to do it on.

Looked for in the folder named by NUNCHI_PEERS, then .peers/root/usr/bin of this checkout, then PATH. On CI nothing may be
missing: there a missing peer fails the test instead of skipping it.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
START_SECONDS_MAX = 20


def find_peer(*names: str) -> str:
    """The path of the first program found under one of its names; skips the test (fails it on CI) where there is none."""
    unpacked = [folder for folder in (os.environ.get("NUNCHI_PEERS", ""), str(ROOT / ".peers/root/usr/bin")) if folder]
    folders = [*unpacked, *(str(Path(one).parent / "sbin") for one in unpacked), os.environ.get("PATH", "")]
    for name in names:
        for folder in filter(None, folders):
            found = shutil.which(name, path=folder)
            if found:
                return found
    reason = f"{names[0]} is not installed: .ci/run installs it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def conformance(folder: str) -> Path:
    """A folder of the public test data beside this checkout; skips the test where it is absent."""
    path = SHARED / "conformance" / folder
    if not path.is_dir():
        pytest.skip(f"public test data is not beside this checkout: ../shared/conformance/{folder}")
    return path


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], ready_url: str, log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; returns once `ready_url` answers 200."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
    try:
        wait_answer(ready_url, process, log)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_answer(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a URL answers 200; fails with the program's log when it ends or stays silent."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    pytest.fail(f"{process.args} does not answer {url}; its log ends:\n{log.read_text(errors='replace')[-2000:]}")
