"""`nunchi.kit.http_server`, over real sockets."""

import asyncio
import base64
import gzip
import io
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import bcrypt
import cramjam
import pytest
import trustme
from aiohttp import web
from tests.kit.conftest import Serve

from nunchi.kit import http_server
from nunchi.kit.errors import InputError
from nunchi.kit.http_server import Access, HttpPolicy, HttpServer, ListenError, Route
from nunchi.kit.logs import configure
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.testing.clock import VirtualClock

PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def count(request: web.Request) -> web.StreamResponse:
    return web.Response(text=str(len(await request.read())))


async def hello(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="hello")


async def large(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="line of text\n" * 1000)


ROUTES = [
    Route("GET", "/hello", hello, Access.READ),
    Route("GET", "/large", large, Access.READ),
    Route("GET", "/label/{name}/values", hello, Access.READ),
    Route("POST", "/query", count, Access.READ, body_bytes_max=1000),
    Route("POST", "/push", count, Access.INGEST, body_bytes_max=1000),
    Route("POST", "/-/reload", hello, Access.LIFECYCLE),
]


@pytest.fixture
async def client() -> "Iterator[aiohttp.ClientSession]":  # type: ignore[misc] # an async generator, by pytest-asyncio
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure("debug", "logfmt", stream)
    yield stream
    configure("error", "logfmt")


async def answer(client: aiohttp.ClientSession, method: str, url: str, **arguments: object) -> tuple[int, str]:
    async with client.request(method, url, **arguments) as response:  # type: ignore[arg-type] # passed on as they are
        return response.status, (await response.text()).strip()


async def test_routes_answer_with_defences_on_every_response(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    for path, status in (("/hello", 200), ("/nothing", 404), ("/push", 405)):
        async with client.get(server.url + path) as response:
            assert response.status == status
            assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "same-origin"
            assert "aiohttp" not in response.headers["Server"]


async def test_what_is_not_served_says_so(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    assert await answer(client, "GET", f"{server.url}/nothing") == (404, "nothing is served at /nothing")
    assert await answer(client, "DELETE", f"{server.url}/hello") == (405, "DELETE is not allowed here, only GET, HEAD")
    assert await answer(client, "HEAD", f"{server.url}/hello") == (200, "")


async def test_a_strange_host_is_refused_before_anything_else(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    status, text = await answer(client, "GET", f"{server.url}/hello", headers={"Host": "rebound.example"})
    assert status == 403
    assert 'host "rebound.example" is not served here' in text


async def test_a_program_may_push_under_any_host_name_but_no_page_may(
    serve: Serve, client: aiohttp.ClientSession
) -> None:
    url = (await serve(ROUTES)).url
    pushed = {"Host": "collector", "Content-Type": "application/x-protobuf"}
    async with client.post(f"{url}/push", data=b"x", headers=pushed) as answer:
        assert answer.status == 200
    for page in ({"Origin": "http://collector:9190"}, {"Sec-Fetch-Site": "same-origin"}):
        async with client.post(f"{url}/push", data=b"x", headers={**pushed, **page}) as answer:
            assert answer.status == 403


async def test_a_page_of_another_site_may_read_by_post_but_not_push(
    serve: Serve, client: aiohttp.ClientSession
) -> None:
    server = await serve(ROUTES)
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert await answer(client, "POST", f"{server.url}/query", data={"query": "up"}, headers=foreign) == (200, "8")
    assert (await answer(client, "POST", f"{server.url}/push", data=b"x", headers=foreign | PROTOBUF))[0] == 403
    assert (await answer(client, "POST", f"{server.url}/push", data={"a": "b"}))[0] == 415
    assert await answer(client, "POST", f"{server.url}/push", data=b"x", headers=PROTOBUF) == (200, "1")


async def test_lifecycle_is_off_unless_flagged(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    status, text = await answer(client, "POST", f"{server.url}/-/reload")
    assert (status, text) == (403, "Lifecycle API is not enabled: start with --web.enable-lifecycle")
    flagged = await serve(ROUTES, HttpPolicy(lifecycle=True))
    assert await answer(client, "POST", f"{flagged.url}/-/reload") == (200, "hello")


async def test_a_compressed_body_arrives_as_it_was_sent(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    body = gzip.compress(b"0" * 100_000)
    headers = PROTOBUF | {"Content-Encoding": "gzip"}
    assert await answer(client, "POST", f"{server.url}/push", data=body, headers=headers) == (200, str(len(body)))


async def test_a_body_that_announces_too_much_is_refused_unread(serve: Serve) -> None:
    server = await serve(ROUTES)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /push HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1001\r\n\r\n"
    )
    writer.write(head.encode())
    status_line = await asyncio.wait_for(reader.readline(), 5)
    assert b" 413 " in status_line
    writer.close()


async def test_a_chunked_body_is_cut_off_at_its_bound(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)

    async def parts() -> "Iterator[bytes]":  # type: ignore[misc] # an async generator
        for _ in range(100):
            yield b"x" * 100

    status, text = await answer(client, "POST", f"{server.url}/push", data=parts(), headers=PROTOBUF)
    assert (status, text) == (413, "the body is larger than 1000 bytes: send less at once")
    assert await answer(client, "POST", f"{server.url}/push", data=b"x" * 1000, headers=PROTOBUF) == (200, "1000")


async def test_a_body_that_does_not_arrive_is_given_up(
    serve: Serve, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "BODY_SECONDS_MAX", 0.05)
    server = await serve(ROUTES)

    async def parts() -> "Iterator[bytes]":  # type: ignore[misc] # an async generator
        yield b"x"
        await asyncio.sleep(0.5)

    status, _ = await answer(client, "POST", f"{server.url}/push", data=parts(), headers=PROTOBUF)
    assert status == 408


async def test_a_failing_handler_is_500_without_details_and_logged_once(
    serve: Serve, client: aiohttp.ClientSession, log_text: io.StringIO
) -> None:
    async def fail(_request: web.Request) -> web.StreamResponse:
        raise RuntimeError("the password is hunter2")

    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise InputError("the query ends too early: close the bracket")

    server = await serve([Route("GET", "/fail", fail, Access.READ), Route("POST", "/refuse", refuse, Access.CHANGE)])
    status, text = await answer(client, "GET", f"{server.url}/fail?token=abc")
    assert status == 500
    assert "hunter2" not in text
    assert log_text.getvalue().count("request failed") == 1
    assert "token=abc" not in log_text.getvalue()
    assert await answer(client, "POST", f"{server.url}/refuse") == (400, "the query ends too early: close the bracket")
    assert log_text.getvalue().count("request failed") == 1


async def test_large_text_is_compressed_as_the_client_accepts(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    expected = b"line of text\n" * 1000
    for accepted, decoded in (
        ("gzip", gzip.decompress),
        ("gzip, zstd", lambda body: bytes(cramjam.zstd.decompress(body))),
        ("identity", bytes),
    ):
        async with client.get(f"{server.url}/large", headers={"Accept-Encoding": accepted}) as response:
            assert decoded(await response.read()) == expected
            assert response.headers["Vary"] == "Accept-Encoding"
    async with client.get(f"{server.url}/hello", headers={"Accept-Encoding": "gzip"}) as response:
        assert "Content-Encoding" not in response.headers


async def test_requests_are_counted_by_route_and_code(serve: Serve, client: aiohttp.ClientSession) -> None:
    telemetry = Telemetry()
    server = await serve(ROUTES, telemetry=telemetry)
    await serve(ROUTES, telemetry=telemetry)
    for path in ("/hello", "/hello", "/label/a/values", "/label/b/values", "/x", "/y"):
        await answer(client, "GET", server.url + path)
    counter = telemetry.find("nunchi_http_requests_total")
    assert counter is not None
    assert {labels[1:]: value for _, labels, value in counter.samples()} == {
        (("route", "/hello"), ("code", "200")): 2.0,
        (("route", "/label/{name}/values"), ("code", "200")): 2.0,
        (("route", "none"), ("code", "404")): 2.0,
    }
    duration = telemetry.find("nunchi_http_request_duration_seconds")
    assert duration is not None
    assert {labels[1][1] for _, labels, _ in duration.samples()} == {"/hello", "/label/{name}/values", "none"}


async def test_routes_stand_below_the_prefix_of_the_external_url(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES, HttpPolicy(external_url="https://mon.example/team/"))
    assert server.url.endswith("/team")
    assert await answer(client, "GET", f"{server.url}/hello") == (200, "hello")
    assert (await answer(client, "GET", f"{server.url.removesuffix('/team')}/hello"))[0] == 404
    async with client.get(server.url.removesuffix("team"), allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/team/")


async def test_stop_is_quick_with_idle_and_streaming_connections(client: aiohttp.ClientSession, serve: Serve) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.Event().wait()
        return response

    server = await serve([*ROUTES, Route("GET", "/stream", stream, Access.READ)])
    await answer(client, "GET", f"{server.url}/hello")
    response = await client.get(f"{server.url}/stream")
    began = time.monotonic()
    await server.stop()
    assert time.monotonic() - began < 1
    response.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get(f"{server.url}/hello")


async def test_a_change_is_finished_although_its_client_went_away(serve: Serve, client: aiohttp.ClientSession) -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    cancelled = asyncio.Event()

    async def change(_request: web.Request) -> web.StreamResponse:
        began.set()
        await may_end.wait()
        ended.set()
        return web.Response()

    async def read(_request: web.Request) -> web.StreamResponse:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return web.Response()

    server = await serve([Route("POST", "/change", change, Access.CHANGE), Route("GET", "/read", read, Access.READ)])
    for method, path in (("POST", "/change"), ("GET", "/read")):
        task = asyncio.create_task(answer(client, method, server.url + path))
        await asyncio.wait_for(began.wait(), 5)
        began.clear()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(cancelled.wait(), 5)
    assert not ended.is_set()
    may_end.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_connections_beyond_the_maximum_are_told_and_closed(serve: Serve) -> None:
    server = await serve(ROUTES, HttpPolicy(connections_max=2))
    host, port = server.url.removeprefix("http://").split(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    for reader, writer in held:
        writer.write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await reader.readline()
    reader, writer = await asyncio.open_connection(host, int(port))
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
    for _, each in [*held, (reader, writer)]:
        each.close()
        await each.wait_closed()


async def test_a_connection_that_asks_nothing_is_closed_and_others_stay(serve: Serve) -> None:
    clock = VirtualClock()
    server = await serve(ROUTES, clock=clock)
    watching = asyncio.create_task(server.run())
    host, port = server.url.removeprefix("http://").split(":")
    asking, silent = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    silent[1].write(b"GET /hello HTTP/1.1\r\nHost: loc")
    for _ in range(2):
        asking[1].write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await asking[0].readuntil(b"hello")
        await clock.advance(40)
    assert await asyncio.wait_for(silent[0].read(), 5) == b""
    asking[1].write(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" in await asyncio.wait_for(asking[0].readuntil(b"hello"), 5)
    watching.cancel()
    for _, each in (asking, silent):
        each.close()
        await each.wait_closed()


async def test_a_change_that_fails_unheard_is_logged(
    serve: Serve, client: aiohttp.ClientSession, log_text: io.StringIO
) -> None:
    began, may_fail = asyncio.Event(), asyncio.Event()
    failed = asyncio.Event()

    async def change(_request: web.Request) -> web.StreamResponse:
        began.set()
        await may_fail.wait()
        failed.set()
        raise RuntimeError("disk is gone")

    telemetry = Telemetry()
    server = await serve([Route("POST", "/change", change, Access.CHANGE)], telemetry=telemetry)
    task = asyncio.create_task(answer(client, "POST", f"{server.url}/change"))
    await asyncio.wait_for(began.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    requests = telemetry.find("nunchi_http_requests_total")
    assert isinstance(requests, Counter)
    async with asyncio.timeout(5):
        while not requests.value("test", "/change", "499"):  # noqa: ASYNC110 - only the counter tells
            await asyncio.sleep(0)
    may_fail.set()
    await asyncio.wait_for(failed.wait(), 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log_text.getvalue().count("disk is gone") == 1


@pytest.mark.parametrize("request_bytes", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 70_000])
async def test_what_is_not_http_is_told_so_and_fills_no_log(
    serve: Serve, log_text: io.StringIO, request_bytes: bytes
) -> None:
    server = await serve(ROUTES)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(request_bytes)
    assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
    writer.close()
    assert "Traceback" not in log_text.getvalue()
    assert log_text.getvalue().count("\n") == 0


async def test_a_long_query_fits_into_a_url(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    assert (await answer(client, "GET", f"{server.url}/hello?query={'x' * 50_000}"))[0] == 200


async def test_a_taken_port_leaves_nothing_behind(serve: Serve) -> None:
    first = await serve(ROUTES)
    port = first.url.rpartition(":")[2]
    with pytest.raises(ListenError, match="the port is taken"):
        await serve(ROUTES, address=f"127.0.0.1:{port}")


async def test_a_listener_open_to_others_is_refused_unless_that_is_wanted(
    serve: Serve, client: aiohttp.ClientSession
) -> None:
    with pytest.raises(InputError, match=r":0 is open to others without TLS and authentication: .*--web\.insecure"):
        await serve(ROUTES, address=":0")
    server = await serve(ROUTES, HttpPolicy(insecure=True), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert await answer(client, "GET", f"{url}/hello") == (200, "hello")
    status, text = await answer(client, "POST", f"{url}/push", data=b"x", headers=PROTOBUF)
    assert status == 403
    assert "push without authentication" in text
    own_name = {"Host": f"{socket.gethostname()}:1"}
    assert (await answer(client, "GET", f"{url}/hello", headers=own_name))[0] == 200
    assert (await answer(client, "GET", f"{url}/hello", headers={"Host": "evil.example"}))[0] == 403


class Site:
    """A folder with a web configuration file, a certificate authority and a server certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.file = folder / "web.yml"
        self.issue()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")

    def issue(self) -> None:
        certificate = self.authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")

    def policy(self, text: str) -> HttpPolicy:
        self.file.write_text(text)
        return HttpPolicy(web_config_file=self.file)

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
USERS = f"basic_auth_users: {{ann: {bcrypt.hashpw(b'one', bcrypt.gensalt(4)).decode()}}}\n"
ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:one").decode()}


async def test_users_of_the_web_configuration_file_are_asked_for(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    server = await serve(ROUTES, site.policy(USERS))
    async with client.get(f"{server.url}/hello") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert (await answer(client, "GET", f"{server.url}/nothing"))[0] == 401
    assert await answer(client, "GET", f"{server.url}/hello", headers=ANN) == (200, "hello")


async def test_tls_and_users_make_a_listener_fit_for_others(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    with pytest.raises(InputError, match="open to others"):
        await serve(ROUTES, site.policy(TLS), address="0.0.0.0:0")
    server = await serve(ROUTES, site.policy(TLS + USERS), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert url.startswith("https://")
    assert await answer(client, "POST", f"{url}/push", data=b"x", headers=ANN | PROTOBUF, ssl=site.trusting()) == (
        200,
        "1",
    )


async def test_client_certificates_and_their_names_are_asked_for(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    text = TLS.replace(
        "}",
        ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [ok.example]}",
    )
    server = await serve(ROUTES, site.policy(text), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1") + "/hello"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await answer(client, "GET", url, ssl=site.trusting())
    for name, status in (("ok.example", 200), ("other.example", 403)):
        context = site.trusting()
        site.authority.issue_cert(name).configure_cert(context)
        assert (await answer(client, "GET", url, ssl=context))[0] == status


async def test_configured_headers_replace_ours(serve: Serve, client: aiohttp.ClientSession, site: Site) -> None:
    server = await serve(ROUTES, site.policy("http_server_config: {headers: {X-Frame-Options: SAMEORIGIN}}"))
    async with client.get(f"{server.url}/hello") as response:
        assert response.headers.getall("X-Frame-Options") == ["SAMEORIGIN"]


async def test_changed_users_and_renewed_certificates_are_taken_up(
    serve: Serve, client: aiohttp.ClientSession, site: Site, log_text: io.StringIO
) -> None:
    clock = VirtualClock()
    server: HttpServer = await serve(ROUTES, site.policy(TLS + USERS), clock=clock)
    watching = asyncio.create_task(server.run())

    async def certificate() -> bytes | None:
        _, writer = await asyncio.open_connection(*server.url.removeprefix("https://").split(":"), ssl=site.trusting())
        found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return found

    before = await certificate()
    site.issue()
    site.file.write_text(TLS + USERS.replace("ann", "bob"))
    await clock.advance(10)
    assert await certificate() != before
    trusting = site.trusting()
    assert (await answer(client, "GET", f"{server.url}/hello", headers=ANN, ssl=trusting))[0] == 401
    bob = {"Authorization": "Basic " + base64.b64encode(b"bob:one").decode()}
    assert (await answer(client, "GET", f"{server.url}/hello", headers=bob, ssl=trusting))[0] == 200
    for broken in ("basic_auth_users: [", TLS, USERS, "", TLS.replace("}", ", min_version: TLS13}") + USERS):
        site.file.write_text(broken)
        await clock.advance(10)
        assert (await answer(client, "GET", f"{server.url}/hello", headers=bob, ssl=trusting))[0] == 200
    assert log_text.getvalue().count("the earlier one stays") == 5
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
