"""`nunchi.kit.http_server`, over real sockets: routes, bodies, defences, telemetry."""

import asyncio
import gzip
import io
from collections.abc import Iterator

import aiohttp
import cramjam
import pytest
from aiohttp import web
from tests.kit.conftest import Serve
from tests.kit.served import PROTOBUF, ROUTES, answer

from nunchi.kit import http_server
from nunchi.kit.errors import InputError
from nunchi.kit.http_server import Access, HttpPolicy, Route
from nunchi.kit.telemetry import Telemetry


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
    assert await answer(client, "DELETE", f"{server.url}/hello") == (
        405,
        "DELETE is not allowed here, only GET, HEAD, OPTIONS",
    )
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
        await asyncio.sleep(0.5)  # longer than a body may take

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


async def test_a_long_query_fits_into_a_url(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    assert (await answer(client, "GET", f"{server.url}/hello?query={'x' * 50_000}"))[0] == 200


async def test_pages_of_the_origins_that_are_let_in_may_read(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES, HttpPolicy(cors_origin=r"https://(a|b)\.org"))
    for origin, allowed in (("https://a.org", "https://a.org"), ("https://a.org.evil", None), ("https://c.org", None)):
        async with client.get(f"{server.url}/hello", headers={"Origin": origin}) as response:
            assert response.status == 200
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in response.headers.getall("Vary")
            assert "Access-Control-Allow-Credentials" not in response.headers
    async with client.options(f"{server.url}/hello", headers={"Origin": "https://b.org"}) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "https://b.org"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]


async def test_without_a_word_of_the_operator_no_other_page_reads(serve: Serve, client: aiohttp.ClientSession) -> None:
    server = await serve(ROUTES)
    async with client.get(f"{server.url}/hello", headers={"Origin": "https://a.org"}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
    async with client.options(f"{server.url}/hello") as response:
        assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
