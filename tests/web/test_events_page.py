"""The page of events and service checks in a real browser."""

import pytest
from playwright.async_api import Browser, expect
from tests.web.browser import PHONE, Tab, screenshot, tab
from tests.web.site import Site, serving

from nunchi.wire.happenings import EventReport, Happenings

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_events_show_newest_first_and_are_narrowed_by_type_and_text(desk: Tab):
    await desk.open("/events")
    titles = desk.page.locator(".event-title")
    await expect(titles).to_have_text(
        ["Cache is warm", "Checkout fails", "Migration takes longer than 60 s", "shop 4.2 is deployed"]
    )
    assert "index by customer" in await desk.text(".event-text >> nth=1")
    await desk.page.get_by_role("button", name="Errors").click()
    await expect(titles).to_have_text(["Checkout fails"])
    assert "kind=error" in desk.page.url
    await desk.page.get_by_role("button", name="All").click()
    await desk.page.get_by_label("Filter by text").fill("env:production ann")
    await expect(titles).to_have_text(["shop 4.2 is deployed"])
    await desk.page.get_by_label("Filter by text").fill("nothing of the kind")
    await expect(desk.page.locator(".empty-title")).to_have_text("Nothing matches the filter")


async def test_service_checks_show_the_worst_first(desk: Tab):
    await desk.open("/events?view=checks")
    await expect(desk.page.locator(".event-title")).to_have_text(
        ["shop.database", "shop.queue", "mail.smtp", "shop.http"]
    )
    await expect(desk.page.locator("tbody .pill")).to_have_text(["critical", "warning", "unknown", "ok"])
    await screenshot(desk, "events-checks")
    await desk.page.get_by_role("button", name="Warning").click()
    await expect(desk.page.locator(".event-title")).to_have_text(["shop.queue"])


async def test_on_a_phone_service_checks_stack(browser: Browser, site: Site):
    async with tab(browser, site.url, viewport=PHONE, is_mobile=True, has_touch=True) as page:
        await page.open("/events?view=checks")
        await expect(page.page.locator(".event-title")).to_have_count(4)
        await screenshot(page, "events-checks-phone")
        assert await page.faults() == []


async def test_what_happens_now_shows_by_itself(browser: Browser):
    async with serving() as site, tab(browser, site.url) as page:
        await page.open("/events")
        await expect(page.page.locator(".event-title")).to_have_count(4)
        site.happenings.book.take(Happenings("a" * 32, "web-1", 1, 8, [EventReport(site.clock.now_ms(), "Just now")]))
        await expect(page.page.locator(".event-title").first).to_have_text("Just now", timeout=15_000)
