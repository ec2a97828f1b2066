"""Connections of `nunchi.kit.http_server` that stay too long, are too many, break off, or are not HTTP."""

import asyncio
import io
import time

import aiohttp
import pytest
from aiohttp import web
from tests.kit.conftest import Serve
from tests.kit.served import ROUTES, answer

from nunchi.kit.http_server import Access, HttpPolicy, ListenError, Route
from nunchi.kit.telemetry import Counter, Telemetry
from nunchi.testing.clock import VirtualClock


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


async def test_a_taken_port_leaves_nothing_behind(serve: Serve) -> None:
    first = await serve(ROUTES)
    port = first.url.rpartition(":")[2]
    with pytest.raises(ListenError, match="the port is taken"):
        await serve(ROUTES, address=f"127.0.0.1:{port}")
