import asyncio
import gzip
import ssl
from pathlib import Path

import pytest
import trustme

from nunchi.intake.scrape.errors import ConnectionLostError, ScrapeError, ScrapeLimitError
from nunchi.intake.scrape.fetch import FetchContext, Fetcher, FetchSettings, JobConnections
from nunchi.intake.scrape.target import TargetDefaults, discovered_labels, make_target
from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import NunchiError
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.http_client_settings import BasicAuthSettings, HeaderSettings
from nunchi.kit.secrets import Secret, Url
from nunchi.kit.telemetry import Telemetry
from nunchi.kit.tls import TlsClientSettings
from nunchi.model.relabel import Relabeller
from nunchi.wire.exposition import ExpositionFormat

COUNTER = Telemetry().counter("connections_total", "Of these tests.")


@pytest.fixture
async def fetcher_of(target):
    """Makes fetchers of the raw target and closes them."""
    made = []

    def make(
        *,
        timeout_ms: int = 5000,
        scheme: str = "http",
        address: str = "",
        labels: dict[str, str] | None = None,
        **options,
    ) -> Fetcher:
        defaults = TargetDefaults("j", scheme, "/metrics", 15_000, timeout_ms, {})
        own = {"__address__": address or target.address, **(labels or {})}
        found = make_target(discovered_labels(own, {}, defaults), Relabeller(), defaults)
        assert found is not None
        job = JobConnections(FetchSettings(**options), FetchContext(SystemClock(), "nunchi/test", COUNTER))
        fetcher = Fetcher(found, job)
        made.append((fetcher, job))
        return fetcher

    yield make
    for fetcher, job in made:
        fetcher.close()
        await job.close()


async def failure(fetcher: Fetcher) -> NunchiError:
    with pytest.raises(NunchiError) as caught:
        (await fetcher.fetch()).decode()
    return caught.value


async def test_a_fetch_asks_as_prometheus_does_and_keeps_the_connection(target, fetcher_of) -> None:
    fetcher = fetcher_of()
    for _ in range(3):
        answer = await fetcher.fetch()
        assert (answer.decode(), answer.format) == (b"a 1\n", ExpositionFormat.TEXT)
    assert target.connections == 1
    head = target.requests[0].decode().split("\r\n")
    assert head[0] == "GET /metrics HTTP/1.1"
    assert head[1] == f"Host: {target.address}"
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    assert headers["User-Agent"] == "nunchi/test"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["X-Prometheus-Scrape-Timeout-Seconds"] == "5"
    assert headers["Accept"].endswith("*/*;q=0.2")


async def test_chunks_and_bodies_that_end_with_the_connection_are_read(target, fetcher_of) -> None:
    fetcher = fetcher_of()

    async def chunked(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"2\r\na \r\n")
        await writer.drain()
        writer.write(b"2\r\n1\n\r\n0\r\n\r\n")

    async def until_closed(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nb 2\n")
        writer.close()

    target.behave = chunked
    assert (await fetcher.fetch()).decode() == b"a 1\n"
    target.behave = until_closed
    assert (await fetcher.fetch()).decode() == b"b 2\n"
    assert (await fetcher.fetch()).decode() == b"b 2\n"
    assert target.connections == 2


async def test_a_kept_connection_that_the_target_has_closed_is_opened_anew(target, fetcher_of) -> None:
    fetcher = fetcher_of()

    async def answer_once(request: bytes, writer: asyncio.StreamWriter) -> None:
        await target.serve_body(request, writer)
        await writer.drain()
        writer.close()

    target.behave = answer_once
    for _ in range(3):
        assert (await fetcher.fetch()).decode() == b"a 1\n"
        await asyncio.sleep(0)
    assert target.connections == 3


async def test_a_compressed_exposition_is_decoded(target, fetcher_of) -> None:
    target.headers += "Content-Encoding: gzip\r\n"
    target.body = gzip.compress(b"a 1\n" * 1000)
    assert (await fetcher_of().fetch()).decode() == b"a 1\n" * 1000


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize(("limit", "fits"), [(1000, False), (1001, True)])
async def test_a_body_of_just_the_limit_fails(target, fetcher_of, encoding: str, limit: int, fits: bool) -> None:
    body = b"x" * 1000
    if encoding == "gzip":
        target.headers += "Content-Encoding: gzip\r\n"
        body = gzip.compress(body)
    target.body = body
    fetcher = fetcher_of(body_bytes_max=limit)
    if fits:
        assert len((await fetcher.fetch()).decode()) == 1000
        return
    error = await failure(fetcher)
    assert isinstance(error, ScrapeLimitError)
    assert error.is_body
    assert f"body_size_limit of {limit} bytes" in str(error)


async def test_a_target_that_streams_forever_is_cut_off_at_the_limit(target, fetcher_of) -> None:
    written = 0

    async def stream(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"a 1\n" * 1000)
            written += 4000
            await writer.drain()

    target.behave = stream
    assert "body_size_limit of 100000 bytes" in str(await failure(fetcher_of(body_bytes_max=100_000)))
    assert written < 50_000_000


async def test_a_target_that_says_nothing_or_drips_runs_into_the_timeout(target, fetcher_of) -> None:
    async def nothing(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def drip(request: bytes, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"a 1\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    for behaviour in (nothing, drip):
        target.behave = behaviour
        error = await failure(fetcher_of(timeout_ms=150))
        assert str(error) == "no whole answer within the timeout of 0.15 s"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"\x00\xff" * 100, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n", "in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n", "in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"", "without an answer"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404 Not Found"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "HTTP status 204 No Content"),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", "HTTP status 599"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n", "no Content-Type"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\na 1\n", "unsupported Content-Type"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\na 1\n",
            "content encoding 'br' is not known",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\na 1\n",
            "not gzip",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "informational answers without end"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "headers are larger"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, "headers are larger"),
    ],
)
async def test_a_bad_answer_fails_with_a_reason(target, fetcher_of, answer: bytes, fault: str) -> None:
    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    target.behave = behave
    assert fault in str(await failure(fetcher_of()))


async def test_a_missing_content_type_is_read_by_the_fallback(target, fetcher_of) -> None:
    target.headers = ""
    answer = await fetcher_of(fallback=ExpositionFormat.TEXT).fetch()
    assert answer.format is ExpositionFormat.TEXT


async def test_an_informational_answer_only_announces(target, fetcher_of) -> None:
    async def behave(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        await target.serve_body(request, writer)

    target.behave = behave
    fetcher = fetcher_of()
    assert (await fetcher.fetch()).decode() == b"a 1\n"
    assert (await fetcher.fetch()).decode() == b"a 1\n"
    assert target.connections == 1


async def test_an_answer_that_nobody_asked_for_ends_the_connection(target, fetcher_of) -> None:
    async def twice(request: bytes, writer: asyncio.StreamWriter) -> None:
        await target.serve_body(request, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nz 9\n")

    target.behave = twice
    fetcher = fetcher_of()
    for _ in range(3):
        assert (await fetcher.fetch()).decode() == b"a 1\n"
        await asyncio.sleep(0.01)  # what nobody asked for arrives


async def test_where_nobody_listens_the_connection_is_refused(fetcher_of) -> None:
    assert str(await failure(fetcher_of(address="127.0.0.1:1"))) == "cannot connect to 127.0.0.1:1: connection refused"


async def test_redirects_are_followed_unless_told_otherwise(target, fetcher_of) -> None:
    async def redirect(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request.startswith(b"GET /metrics "):
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        else:
            await target.serve_body(request, writer)

    target.behave = redirect
    assert (await fetcher_of().fetch()).decode() == b"a 1\n"
    refusing = fetcher_of(http=HttpClientSettings(follow_redirects=False))
    assert "302 Found" in str(await failure(refusing))


async def test_a_proxy_is_asked_with_the_whole_url(target, fetcher_of) -> None:
    settings = HttpClientSettings(proxy_url=Url.parse(f"http://{target.address}"))
    answer = await fetcher_of(address="nowhere.invalid:9100", http=settings).fetch()
    assert answer.decode() == b"a 1\n"
    assert target.requests[0].startswith(b"GET http://nowhere.invalid:9100/metrics HTTP/1.1")


async def test_credentials_and_headers_of_the_settings_are_sent(target, fetcher_of, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("one\n")
    basic = BasicAuthSettings(username="me", password_file="password")
    http = HttpClientSettings(
        basic_auth=basic, http_headers={"X-Scope": HeaderSettings(values=["a"], secrets=[Secret("b")])}
    )
    fetcher = fetcher_of(http=http, folder=tmp_path)
    await fetcher.fetch()
    (tmp_path / "password").write_text("two\n")
    await fetcher.fetch()
    assert b"Authorization: Basic bWU6b25l\r\n" in target.requests[0]
    assert b"Authorization: Basic bWU6dHdv\r\n" in target.requests[1]
    assert b"X-Scope: a\r\nX-Scope: b\r\n" in target.requests[0]
    (tmp_path / "password").unlink()
    assert "password: No such file" in str(await failure(fetcher))


async def test_a_header_that_breaks_the_line_is_refused(fetcher_of) -> None:
    http = HttpClientSettings(http_headers={"X": HeaderSettings(values=["a\r\nEvil: yes"])})
    assert "line break" in str(await failure(fetcher_of(http=http)))


async def test_https_is_verified_by_the_authority_of_the_settings(target, fetcher_of, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    await target.stop()
    await target.start(ssl=context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trusting = HttpClientSettings(tls_config=TlsClientSettings(ca_file="ca.pem"))
    assert (await fetcher_of(scheme="https", http=trusting, folder=tmp_path).fetch()).decode() == b"a 1\n"
    blind = HttpClientSettings(tls_config=TlsClientSettings(insecure_skip_verify=True))
    assert (await fetcher_of(scheme="https", http=blind).fetch()).decode() == b"a 1\n"
    assert "TLS: " in str(await failure(fetcher_of(scheme="https")))


async def test_a_missing_authority_is_named(target, fetcher_of, tmp_path: Path) -> None:
    http = HttpClientSettings(tls_config=TlsClientSettings(ca_file="none.pem"))
    assert "none.pem: no such file" in str(await failure(fetcher_of(scheme="https", http=http, folder=tmp_path)))


async def test_a_target_may_be_behind_a_unix_socket(target, fetcher_of, tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await target.serve_body(b"", writer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        answer = await fetcher_of(labels={"__unix_socket__": str(path)}).fetch()
        assert answer.decode() == b"a 1\n"
    finally:
        server.close()
        await server.wait_closed()


async def test_kept_connections_are_counted_and_bounded(target, fetcher_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nunchi.intake.scrape.fetch.CONNECTIONS_KEPT_MAX", 0)
    fetcher = fetcher_of()
    await fetcher.fetch()
    await fetcher.fetch()
    assert target.connections == 2


async def test_a_connection_lost_before_any_byte_says_so(target, fetcher_of) -> None:
    async def close(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    target.behave = close
    error = await failure(fetcher_of())
    assert isinstance(error, ConnectionLostError)
    assert isinstance(error, ScrapeError)
    assert not error.answered
    assert target.connections == 1
