"""What pages show while the server starts, is away or answers slowly."""

import asyncio

import pytest
from playwright.async_api import Browser, expect
from tests.web.browser import screenshot, tab
from tests.web.site import serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_server_that_starts_says_so_and_then_answers(browser: Browser):
    async with serving() as site, tab(browser, site.url) as page:
        site.status.reason = "12 of 40 segments are replayed"
        await page.open("/targets")
        await expect(page.page.locator(".banner")).to_have_text(
            "The server is starting: 12 of 40 segments are replayed"
        )
        site.status.reason = ""
        await expect(page.page.locator(".banner")).to_be_hidden()
        await expect(page.page.locator("tbody tr").first).to_be_visible()


async def test_what_ails_the_server_stands_on_every_page(browser: Browser):
    async with serving() as site, tab(browser, site.url) as page:
        site.status.broken = "The configuration could not be loaded again."
        for path in ("/", "/query"):
            await page.open(path)
            await expect(page.page.locator(".banner")).to_have_text(site.status.broken)
        site.status.broken = ""
        await expect(page.page.locator(".banner")).to_be_hidden(timeout=30_000)


async def test_a_lost_connection_shows_and_heals_without_a_reload(browser: Browser):
    async with serving() as site, tab(browser, site.url) as page:
        await page.open("/?range=5m")
        await page.page.get_by_label("Refresh").select_option("1")
        await expect(page.page.locator(".panel canvas")).to_have_count(8)
        await site.stop()
        await expect(page.page.locator(".banner")).to_have_text("Connection lost, retrying …")
        await expect(page.page.locator(".panel canvas")).to_have_count(8)
        await screenshot(page, "connection-lost", whole=False)
        await site.start()
        await expect(page.page.locator(".banner")).to_be_hidden(timeout=30_000)


async def test_refreshes_never_overlap_and_wait_longer_after_failures(browser: Browser):
    async with serving() as site, tab(browser, site.url) as page:
        under_way = {"now": 0, "most": 0, "asked": 0}

        async def slowly(route):  # type: ignore[no-untyped-def]  # Playwright's own type
            under_way["asked"] += 1
            under_way["now"] += 1
            under_way["most"] = max(under_way["most"], under_way["now"])
            await asyncio.sleep(1.6)  # slower than a page would ask again
            under_way["now"] -= 1
            await route.abort()

        await page.page.route("**/api/v1/rules*", slowly)
        await page.open("/rules")
        await expect(page.page.locator(".banner")).to_be_visible()
        await asyncio.sleep(6)  # several turns of refreshing, had they not grown longer
        assert under_way["most"] == 1
        assert under_way["asked"] <= 3
