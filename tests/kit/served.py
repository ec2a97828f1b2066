"""Routes that tests of the HTTP server serve, and one request to them."""

import aiohttp
from aiohttp import web

from nunchi.kit.http_server import Access, Route

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


async def answer(client: aiohttp.ClientSession, method: str, url: str, **arguments: object) -> tuple[int, str]:
    async with client.request(method, url, **arguments) as response:  # type: ignore[arg-type] # passed on as they are
        return response.status, (await response.text()).strip()
