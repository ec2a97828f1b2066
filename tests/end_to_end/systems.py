"""nunchi and its peers as processes, and the questions that both are asked."""

import contextlib
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.peers import find_peer, free_port, running

NUNCHI = str(Path(sys.executable).parent / "nunchi")


@dataclass(frozen=True)
class System:
    """A running server with Prometheus's HTTP API."""

    name: str
    url: str

    def ask(self, path: str, **parameters: Any) -> Any:
        """The `data` of an answer; HTTP errors raise with the server's words."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{self.name} answers {error.code} to {url}: {error.read()[:500]!r}") from None

    def instant(self, query: str, time: float) -> Any:
        """An instant query's result, vectors sorted by their labels."""
        return ordered(self.ask("query", query=query, time=time))

    def range(self, query: str, start: float, end: float, step: float) -> Any:
        """A range query's result, sorted by labels."""
        return ordered(self.ask("query_range", query=query, start=start, end=end, step=step))


def ordered(data: dict[str, Any]) -> Any:
    """A query's result in an order that does not depend on who answers."""
    if data["resultType"] in ("vector", "matrix"):
        return sorted(data["result"], key=lambda series: sorted(series["metric"].items()))
    return data["result"]


@contextlib.contextmanager
def nunchi_server(folder: Path, configuration: str, *flags: str) -> Iterator[System]:
    """`nunchi server` on a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        NUNCHI,
        "server",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        *flags,
    ]
    with running(command, f"{url}/-/ready", folder / "nunchi.log"):
        yield System("nunchi", url)


@contextlib.contextmanager
def prometheus_server(folder: Path, configuration: str, *flags: str) -> Iterator[System]:
    """Prometheus on a free port."""
    program = find_peer("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        *flags,
    ]
    with running(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield System("prometheus", url)


@contextlib.contextmanager
def http_endpoint(answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]]) -> Iterator[str]:
    """An HTTP server whose every answer (status, content type, body) is decided by a function; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content_type, content = answer(self, body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
            """Tests read answers, not logs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
