"""The pages of agents in a real browser: who is well, one agent in full, and what may be done with it."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.web.browser import LOOKS, Tab, screenshot, tab
from tests.web.fleet import LATE, SILENT, WELL
from tests.web.site import Site, empty, hostile, serving
from tests.web.sources import INSTANCE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PAGES = {"agents": ("/agents", "Agents", "table .pill"), "agent": (f"/agent?id={WELL}", "Agent", ".panel canvas")}


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving() as made:
        yield made


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_shows_itself_without_fault(browser: Browser, site: Site, name: str, look: str):
    path, title, content = PAGES[name]
    async with tab(browser, site.url, **LOOKS[look]) as page:
        await page.open(path)
        await page.page.wait_for_selector(content)
        await page.page.wait_for_load_state("networkidle")
        await screenshot(page, f"{name}-{look}")
        assert await page.page.title() == f"{title} · nunchi"
        assert await page.faults() == []


async def test_who_is_unwell_comes_first_with_what_is_wrong(desk: Tab):
    await desk.open("/agents")
    rows = desk.page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    assert [await row.locator("a").inner_text() for row in await rows.all()] == [
        "db-1.example", "cache-1.example", INSTANCE,
    ]  # fmt: skip
    late = rows.nth(1)
    await expect(late).to_contain_text("there is no field intervall")
    await expect(late).to_contain_text("1 failed")
    await expect(late).to_contain_text("12.4 k")
    await expect(late.locator("td.number .reason", has_text="41 s")).to_be_visible()
    await expect(rows.nth(2)).to_contain_text("rack-7")
    await expect(rows.nth(2)).to_contain_text("22 h 30 m")


async def test_agents_are_filtered_by_state_and_text(desk: Tab):
    await desk.open("/agents")
    await desk.page.get_by_role("button", name="Late").click()
    await expect(desk.page.locator("tbody tr")).to_have_count(1)
    await expect(desk.page).to_have_url(re.compile("state=late"))
    await desk.page.get_by_role("button", name="All").click()
    await desk.page.get_by_role("searchbox").fill("frontend")
    await expect(desk.page.locator("tbody tr a")).to_have_text([INSTANCE])
    await desk.page.get_by_role("searchbox").fill("nobody")
    await expect(desk.page.locator(".empty")).to_contain_text("Nothing matches")


async def test_the_keyboard_leads_from_the_list_to_an_agent_and_back(desk: Tab):
    await desk.open("/agents")
    await desk.page.get_by_role("link", name=INSTANCE).focus()
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.locator("h1")).to_contain_text(INSTANCE)
    await expect(desk.page.get_by_role("link", name="Agents").first).to_have_attribute("aria-current", "page")
    await desk.page.go_back()
    await expect(desk.page.locator("h1")).to_have_text("Agents")


async def test_one_agent_shows_checks_inventory_and_events(desk: Tab):
    await desk.open(f"/agent?id={LATE}")
    first = desk.page.locator("tbody tr").first
    await expect(first).to_contain_text("redis")
    await expect(first).to_contain_text("refuses connections")
    await expect(desk.page.locator(".notice")).to_contain_text("did you mean interval")
    await expect(desk.page.get_by_text("spool_full 12400")).to_be_visible()
    await desk.open(f"/agent?id={WELL}")
    await expect(desk.page.locator(".facts", has_text="Xeon Gold")).to_be_visible()
    await expect(desk.page.locator("td", has_text="477 GiB")).to_be_visible()
    await expect(desk.page.locator(".facts", has_text="joined")).to_be_visible()
    await expect(desk.page.locator(".panel canvas")).to_have_count(4)


async def test_metadata_is_saved_and_cleared(desk: Tab, site: Site):
    await desk.open(f"/agent?id={WELL}")
    save = desk.page.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await desk.page.get_by_label("Namespace").fill("production")
    await save.click()
    await expect(save).to_be_disabled()
    assert site.fleet.book.find(WELL).metadata.namespace == "production"
    assert site.fleet.book.find(WELL).metadata.group == "frontend"
    await desk.page.get_by_role("button", name="Clear").click()
    await expect(desk.page.get_by_label("Namespace")).to_have_value("")
    assert site.fleet.book.find(WELL).metadata.group == ""


async def test_an_agent_is_disabled_and_enabled(desk: Tab, site: Site):
    await desk.open(f"/agent?id={WELL}")
    await desk.page.get_by_role("button", name="Disable").click()
    await expect(desk.page.locator(".head .pill")).to_have_text("disabled")
    assert not site.fleet.book.is_enabled(WELL)
    await desk.page.get_by_role("button", name="Enable").click()
    await expect(desk.page.locator(".head .pill")).to_have_text("healthy")


async def test_what_cannot_be_undone_is_asked_twice(desk: Tab, site: Site):
    await desk.open(f"/agent?id={WELL}")
    await desk.page.get_by_role("button", name="Revoke its keys").click()
    await desk.page.get_by_role("button", name="Cancel").click()
    assert site.fleet.book.find(WELL).keys
    await desk.page.get_by_role("button", name="Revoke its keys").click()
    await desk.page.get_by_role("button", name="Revoke its keys").click()
    await expect(desk.page.locator(".facts", has_text="revoked").first).to_be_visible()
    assert not site.fleet.book.find(WELL).keys


async def test_an_agent_that_is_forgotten_leaves_the_list(desk: Tab, site: Site):
    await desk.open(f"/agent?id={SILENT}")
    site.fleet.book.describe(SILENT, site.fleet.book.find(SILENT).metadata)
    await desk.page.get_by_role("button", name="Forget").click()
    await desk.page.get_by_role("button", name="Forget").click()
    await expect(desk.page.locator("h1")).to_have_text("Agents")
    await expect(desk.page.locator("tbody tr")).to_have_count(2)


async def test_an_agent_that_nobody_knows_says_so(browser: Browser, site: Site):
    async with tab(browser, site.url) as page:
        await page.open("/agent?id=nobody")
        await expect(page.page.locator(".notice")).to_contain_text("no agent has the id nobody")


async def test_without_agents_the_page_says_how_to_start_one(browser: Browser):
    async with serving(empty, filled=False) as site, tab(browser, site.url) as page:
        await page.open("/agents")
        await expect(page.page.locator(".empty")).to_contain_text("nunchi agent run")
        assert await page.faults() == []


@pytest.mark.parametrize("look", ["light", "phone"])
async def test_what_a_hostile_agent_tells_stays_text(browser: Browser, look: str):
    async with serving(hostile) as site, tab(browser, site.url, **LOOKS[look]) as page:
        for path, selector in {"/agents": "tbody .label", f"/agent?id={'d' * 32}": ".inventory-title"}.items():
            await page.open(path)
            await page.page.wait_for_selector(selector)
            await page.page.wait_for_load_state("networkidle")
            assert await page.page.locator('img[src="x"]').count() == 0, path
            assert "pwned" not in await page.page.title(), path
            assert await page.faults() == [], path


async def test_a_pending_rule_is_not_cut_off(desk: Tab):
    await desk.open("/rules")
    pill = desk.page.locator("td .pill", has_text="pending").first
    assert await pill.evaluate("pill => pill.scrollWidth - pill.clientWidth") <= 0
