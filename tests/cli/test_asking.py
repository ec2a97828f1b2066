"""What `nunchi query` says about what answers and is no server of metrics."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nunchi.cli.asking import ServerAsker
from nunchi.kit.errors import WorldError

LOGIN = b"<!DOCTYPE html>\n<html><head><title>\n Sign&nbsp;in &mdash; Portal </title></head>" + b"<p>x</p>" * 1000


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """Serves one status and body to every request; returns the address."""
    servers: list[HTTPServer] = []

    def serve(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, LOGIN, 'answers 200 with a web page, "Sign in — Portal": --url is to be the address of a server'),
        (502, b"<html><body>bad gateway</body></html>", "answers 502 with a web page: --url is to be"),
        (404, b"nothing is served here\n", "answers 404, not in JSON: nothing is served here"),
    ],
)
def test_an_answer_that_is_not_the_apis_is_named_and_not_quoted_raw(
    answering: Callable[[int, bytes], str], status: int, body: bytes, words: str
) -> None:
    with pytest.raises(WorldError) as caught:
        ServerAsker(answering(status, body)).ask("query", {"query": "up"})
    assert words in str(caught.value)
    assert "<" not in str(caught.value)
