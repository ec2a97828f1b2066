"""The page of clouds in a real browser: accounts, clippers, costs, resources, and how they are chosen."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.web.browser import PHONE, Tab, screenshot, tab
from tests.web.clouds import DENIED
from tests.web.site import Site, serving

from nunchi.wire.cloud_exchange import ClipperReport, CloudReport

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving(filled=False) as made:
        yield made


async def test_accounts_stand_with_their_clippers_the_worst_first_and_what_they_cost(desk: Tab):
    await desk.open("/clouds")
    cards = desk.page.locator(".card")
    await expect(cards).to_have_count(3)
    assert await cards.locator("h2").all_inner_texts() == ["staging", "production", "Configurations and who obeys them"]
    await expect(cards.nth(0)).to_contain_text("no credentials called 'other'")
    await expect(cards.nth(1)).to_contain_text("3 of 4 clippers run")
    await expect(cards.nth(1).locator(".reason")).to_have_text(DENIED)
    row = cards.nth(1).locator(".costs tbody tr").first
    assert (await row.inner_text()).split() == ["get_metric_data", "4608", "24", "2.3", "M"]
    await expect(cards.nth(2)).to_contain_text("cloud-1")
    await expect(cards.nth(2).locator("tbody tr", has_text="laboratory")).to_contain_text("nobody")
    await expect(cards.nth(2)).to_contain_text("waits for a configuration")


async def test_accounts_are_filtered_by_region_and_reason(desk: Tab):
    await desk.open("/clouds")
    await desk.page.get_by_role("searchbox").fill("us-east denied")
    await expect(desk.page.locator(".card")).to_have_count(1)
    await expect(desk.page.locator(".card tbody").first.locator("tr")).to_have_count(1)
    await desk.page.get_by_role("searchbox").fill("nowhere")
    await expect(desk.page.locator("main")).to_contain_text("Nothing matches the filter")


async def test_a_clipper_that_recovers_is_shown_without_a_reload(desk: Tab, site: Site):
    await desk.open("/clouds")
    await expect(desk.page.locator(".card h2").first).to_have_text("staging")
    clipper = ClipperReport(provider="aws", account="staging", region="eu-west-1", kind="metrics", state="running")
    site.clouds.states.take_report(CloudReport(agent="a" * 32, name="cloud-1", state="running", clippers=[clipper]))
    await expect(desk.page.locator(".card").first).to_contain_text("1 of 1 clippers run", timeout=20_000)


async def test_resources_are_found_by_account_namespace_and_tag_and_paged(desk: Tab, browser: Browser, site: Site):
    await desk.open("/clouds")
    await desk.page.locator(".card", has_text="production").get_by_role("button", name="Resources").click()
    await expect(desk.page.locator("h2")).to_have_text("230 resources")
    await expect(desk.page.locator("tbody tr")).to_have_count(200)
    await desk.page.get_by_role("button", name="Later").click()
    await expect(desk.page.locator("tbody tr")).to_have_count(30)
    await desk.page.get_by_label("Namespace").select_option("AWS/EBS")
    await expect(desk.page.locator("h2")).to_have_text("22 resources")
    await desk.page.get_by_label("Namespace").select_option("")
    await desk.page.get_by_label("Region").select_option("us-east-1")
    await desk.page.get_by_role("searchbox").fill("search")
    await expect(desk.page.locator("h2")).to_have_text("35 resources")
    await expect(desk.page.locator("tbody tr").first).to_contain_text('Team="search"')
    await expect(desk.page.get_by_label("Account")).to_have_value("production")
    await screenshot(desk, "clouds-resources", whole=False)
    await desk.page.reload()
    await expect(desk.page.locator("h2")).to_have_text("35 resources")
    async with tab(browser, site.url, viewport=PHONE, has_touch=True, is_mobile=True) as phone:
        await phone.open("/clouds?view=resources&search=search")
        await phone.page.wait_for_selector("tbody tr")
        await screenshot(phone, "clouds-resources-phone", whole=False)
        assert await phone.faults() == []
