"""A real Alertmanager, a webhook that remembers, and alerts sent to both sides."""

import asyncio
import contextlib
import json
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from tests.peers import find_peer, free_port, running

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.notify.notifier import Notifier
from nunchi.notify.settings import parse_notify_settings
from nunchi.notify.telemetry import NotifyTelemetry

EXTERNAL_URL = "http://alerts.example"


class Hook:
    """A webhook: remembers bodies, answers with the statuses it is given, 200 after that."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answers: list[int] = []
        self.url = ""

    async def wait_for(self, count: int, seconds: float = 15) -> list[dict[str, Any]]:
        async with asyncio.timeout(seconds):
            while True:
                if len(self.bodies) >= count:
                    return self.bodies
                await asyncio.sleep(0.02)


@contextlib.contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = hook.answers.pop(0) if hook.answers else 200
            hook.paths.append(self.path)
            hook.headers.append({name.lower(): value for name, value in self.headers.items()})
            if status == 200:
                hook.bodies.append(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
            """Tests read bodies, not logs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def alertmanager(folder: Path, settings: str) -> Iterator[str]:
    """A real Alertmanager; yields its address."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(settings)
    address = f"127.0.0.1:{free_port()}"
    command = [
        find_peer("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        f"--web.external-url={EXTERNAL_URL}",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]
    with running(command, f"http://{address}/-/ready", folder / "log"):
        yield address


@contextlib.asynccontextmanager
async def notifier(settings: str, folder: Path) -> AsyncIterator[Notifier]:
    """Our own, in real time, with real receivers."""
    clock = SystemClock()
    own = Notifier(clock, Random(1), NotifyTelemetry(Telemetry()), logger("notify"), EXTERNAL_URL)
    own.apply(parse_notify_settings(settings, "alertmanager.yml"), folder)
    task = asyncio.create_task(own.run())
    try:
        yield own
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await own.stop()


def ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
    return json.loads(content) if content else None
