"""What `nunchi query` says about what answers and is no server of metrics."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nunchi.cli.asking import ServerAsker
from nunchi.kit.errors import InputError, WorldError

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


def test_a_server_that_asks_who_one_is_is_told_by_a_file(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            is_ann = self.headers["Authorization"] == "Basic " + b64encode(b"ann:secret").decode()
            body = b'{"status":"success","data":"hello"}' if is_ann else b"401: sign in\n"
            self.send_response(200 if is_ann else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(
            WorldError, match=r"asks who you are: give basic_auth or authorization in --http\.config\.file"
        ):
            ServerAsker(url).ask("query", {"query": "up"})
        (tmp_path / "password").write_text("secret\n")
        file = tmp_path / "http.yml"
        file.write_text("basic_auth: {username: ann, password_file: password}\n")
        assert ServerAsker(url, file).ask("query", {"query": "up"}) == "hello"
    finally:
        server.shutdown()
        server.server_close()


def test_a_broken_file_of_http_settings_is_named(tmp_path: Path) -> None:
    file = tmp_path / "http.yml"
    file.write_text("basic_out: {}\n")
    with pytest.raises(InputError, match=r'http\.yml:1:1: unknown field "basic_out"'):
        ServerAsker("http://127.0.0.1:1", file)
