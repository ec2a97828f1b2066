"""`nunchi.kit.http_server`: large bodies go out in pieces, and are the same bodies."""

import aiohttp
import cramjam
import pytest
from aiohttp import web
from tests.kit.conftest import Serve

from nunchi.kit.http_server import WHOLE_BODY_BYTES_MAX, Access, Route

BODY = b"0123456789abcdef" * (WHOLE_BODY_BYTES_MAX // 16 + 1)


async def numbers(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=BODY, content_type="application/json")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_large_body_is_the_one_that_was_made(serve: Serve, coding: str) -> None:
    server = await serve([Route("GET", "/numbers", numbers, Access.READ)])
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for _ in range(2):
            async with session.get(f"{server.url}/numbers", headers={"Accept-Encoding": coding}) as response:
                found = await response.read()
                assert response.status == 200
                assert response.content_type == "application/json"
                assert int(response.headers["Content-Length"]) == len(found)
                assert (bytes(cramjam.gzip.decompress(found)) if coding == "gzip" else found) == BODY
