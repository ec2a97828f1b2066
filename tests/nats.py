"""A NATS server of the tests' own, over restarts."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.peers import find_peer, free_port, wait_answer

VERSION_MIN = (2, 10)


@dataclass
class NatsServer:
    """One server with JetStream in a folder. `lines` are more of its configuration file."""

    folder: Path
    lines: str = ""
    port: int = field(default_factory=free_port)
    monitor: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        pytest.importorskip("nats", reason="nats-py is not installed: the extra `test` brings it")
        self.program = find_peer("nats-server")
        told = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        version = tuple(map(int, told.rpartition("v")[2].strip().split(".")[:2]))
        if version < VERSION_MIN:
            pytest.skip(f"{told.strip()} is too old: Debian 13 has a newer one, see .ci/run")
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it until JetStream is there."""
        configuration = self.folder / "nats.conf"
        configuration.write_text(f'jetstream {{ store_dir: "{self.folder}/store" }}\n{self.lines}\n')
        words = [
            self.program, "-c", str(configuration), "-a", "127.0.0.1", "-p", str(self.port), "-m", str(self.monitor),
            "-l", str(self.folder / "log"),
        ]  # fmt: skip
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
        log = self.folder / "log"
        log.touch()
        wait_answer(f"http://127.0.0.1:{self.monitor}/healthz", self.process, log)

    def stop(self) -> None:
        """Let it end, or kill it where it will not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        """Stop it and remove all that it kept."""
        self.stop()
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def streams(self) -> dict[str, Any]:
        """What it says of its streams, by name."""
        url = f"http://127.0.0.1:{self.monitor}/jsz?streams=1&consumers=1&config=1"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)
        accounts = found.get("account_details") or []
        return {stream["name"]: stream for one in accounts for stream in one.get("stream_detail") or []}


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
