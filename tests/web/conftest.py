"""Fixtures of the web's tests: a served site, and who asks it: a client of the API, or a browser."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.web.browser import Tab, chromium, tab
from tests.web.site import Site, serving

from nunchi.kit.http_server import HttpPolicy
from nunchi.testing.clock import VirtualClock


class Asker:
    """Asks a site over a socket; remembers nothing."""

    def __init__(self, site: Site, session: aiohttp.ClientSession) -> None:
        self.site = site
        self.session = session

    async def text(self, path: str, method: str = "GET", **arguments: Any) -> tuple[int, str]:
        async with self.session.request(method, self.site.url + path, **arguments) as response:
            return response.status, await response.text()

    async def json(self, path: str, method: str = "GET", **arguments: Any) -> tuple[int, dict[str, Any]]:
        status, text = await self.text(path, method, **arguments)
        return status, json.loads(text)

    async def data(self, path: str, **parameters: Any) -> Any:
        status, answer = await self.json(path, params=parameters)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    async def error(self, path: str, **parameters: Any) -> tuple[int, str, str]:
        status, answer = await self.json(path, params=parameters)
        assert answer["status"] == "error", answer
        return status, answer["errorType"], answer["error"]


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    """A site with nothing stored and the clock standing still."""
    policy = HttpPolicy(lifecycle=True)
    async with serving(filled=False, clock=VirtualClock(), policy=policy) as site, aiohttp.ClientSession() as session:
        yield Asker(site, session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    """A healthy site. A module whose tests change theirs has a fixture of this name for each test."""
    async with serving() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser, site: Site) -> AsyncIterator[Tab]:
    """A desktop page of the site that must not have misbehaved in the end."""
    async with tab(browser, site.url) as made:
        yield made
        assert await made.faults() == []
