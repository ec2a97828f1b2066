"""The overview in a real browser: panels, ranges, legends, and what a young or bare machine shows."""

import re

import pytest
from playwright.async_api import Browser, Locator, expect
from tests.web.browser import Tab, screenshot, tab
from tests.web.site import Site, serving
from tests.web.sources import INSTANCE
from tests.web.synthetic import put

from nunchi.model.labels import Labels

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def panel(made: Tab, title: str) -> Locator:
    """The panel of a title."""
    return made.page.locator(".panel").filter(has=made.page.get_by_role("heading", name=title, exact=True))


async def test_the_overview_draws_every_panel_and_tile(desk: Tab):
    await desk.open("/")
    await expect(desk.page.locator(".panel canvas")).to_have_count(8)
    await expect(desk.page.locator(".blank")).to_have_count(0)
    tiles = await desk.page.locator(".tile-value").all_inner_texts()
    assert len(tiles) == 5
    assert "–" not in tiles
    assert "87 %" in tiles
    legend = await panel(desk, "CPU by mode").locator(".legend-label").all_inner_texts()
    assert legend == ["iowait", "irq", "nice", "softirq", "steal", "system", "user"]


async def test_the_range_is_kept_in_the_url(desk: Tab):
    await desk.open("/")
    await desk.page.get_by_role("button", name="1h", exact=True).click()
    await expect(desk.page).to_have_url(re.compile(r"range=1h"))
    await desk.page.reload()
    await expect(desk.page.get_by_role("button", name="1h", exact=True)).to_have_attribute("aria-pressed", "true")
    await desk.page.go_back()
    await expect(desk.page.get_by_role("button", name="15m", exact=True)).to_have_attribute("aria-pressed", "true")


async def test_a_custom_range_is_held_and_not_refreshed(desk: Tab, site: Site):
    end = int(site.clock.now()) - 900
    await desk.open(f"/?range=5m&end={end}")
    await expect(desk.page.locator(".panel canvas").first).to_be_visible()
    await expect(desk.page.get_by_label("Refresh")).to_be_disabled()
    await desk.page.get_by_role("button", name="Later").click()
    await expect(desk.page).to_have_url(re.compile(f"end={end + 150}"))
    await desk.page.locator(".picker [aria-expanded]").click()
    await desk.page.get_by_label("From").fill("2020-01-01T00:00:00")
    await desk.page.get_by_label("To", exact=True).fill("2020-01-01T00:10:00")
    await desk.page.get_by_role("button", name="Apply").click()
    await expect(desk.page).to_have_url(re.compile(r"range=10m&end=15778"))
    await expect(desk.page.locator(".empty-title, .blank .empty-title").first).to_be_visible()


async def test_another_machine_can_be_chosen(desk: Tab):
    await desk.open("/")
    await desk.page.get_by_label("Machine").select_option("db-1.example")
    await expect(desk.page).to_have_url(re.compile(r"instance=db-1\.example"))
    await expect(desk.page.locator(".panel canvas")).to_have_count(8)


async def test_numbers_follow_new_samples_without_a_reload(desk: Tab, site: Site):
    gauge = Labels.of("node_boot_time_seconds", job="node", instance="fresh")
    put(site.store, site.clock.now(), [(gauge, site.clock.now() - 3600)])
    await desk.open("/?instance=fresh")
    await desk.page.get_by_label("Refresh").select_option("1")
    uptime = desk.page.locator(".tile", has_text="Uptime").locator(".tile-value")
    await expect(uptime).to_have_text("1 h")
    put(site.store, site.clock.now(), [(gauge, site.clock.now() - 7200)])
    await expect(uptime).to_have_text("2 h")


async def test_the_charts_of_a_young_machine_begin_with_its_first_samples(browser: Browser):
    async with serving(past_seconds=10) as site, tab(browser, site.url) as page:
        await page.open(f"/?instance={INSTANCE}")
        await expect(page.page.locator(".panel canvas")).to_have_count(8)
        await page.page.wait_for_load_state("networkidle")
        starts = [float(start) for url in page.requests for start in re.findall(r"query_range.*&start=([\d.]+)", url)]
        assert max(starts) > site.clock.now() - 150
        busy = await page.text(".tile:has(h2:text-is('CPU')) .tile-value")
        assert 15 < float(busy.removesuffix(" %")) < 45  # the rate of two samples is right at once
        await screenshot(page, "overview-young")
        async with page.page.expect_request(re.compile(r"query_range.*&step=5$")) as asked:
            await page.page.get_by_role("button", name="15m", exact=True).click()
        start = re.search(r"&start=([\d.]+)", (await asked.value).url)
        assert start is not None
        assert float(start[1]) < site.clock.now() - 890
        assert "range=15m" in page.page.url


async def test_a_panel_without_data_says_why(desk: Tab, site: Site):
    gauge = Labels.of("node_boot_time_seconds", job="node", instance="bare")
    put(site.store, site.clock.now(), [(gauge, 1.0)])
    await desk.open("/?instance=bare")
    blank = panel(desk, "Pressure").locator(".blank")
    await expect(blank).to_contain_text("/proc/pressure is absent")


async def test_legend_entries_switch_series_on_and_off(desk: Tab):
    await desk.open("/")
    legend = panel(desk, "Load").locator(".legend button")
    await legend.nth(1).click()
    assert [await entry.get_attribute("aria-pressed") for entry in await legend.all()] == [
        "true",
        "false",
        "true",
        "true",
    ]
    await legend.nth(1).click()
    await legend.nth(2).click(modifiers=["Shift"])
    assert [await entry.get_attribute("aria-pressed") for entry in await legend.all()] == [
        "false",
        "false",
        "true",
        "false",
    ]


async def test_the_crosshair_tells_values_with_units_on_all_charts_together(desk: Tab):
    await desk.open("/")
    memory = panel(desk, "Memory").locator(".u-over")
    await memory.hover(position={"x": 300, "y": 60})
    tooltip = desk.page.locator(".tooltip")
    await expect(tooltip).to_have_count(1)
    await expect(tooltip).to_contain_text("GiB")
    await expect(tooltip).to_contain_text("used")
    await screenshot(desk, "overview-tooltip", whole=False)
    lines = await desk.page.eval_on_selector_all(".u-cursor-x", "lines => lines.map(line => line.style.transform)")
    assert len(lines) == 8
    assert all("translate(" in line and not line.startswith("translate(-10px") for line in lines), lines


async def test_dragging_over_a_chart_zooms_all_of_them(desk: Tab):
    await desk.open("/")
    box = await panel(desk, "Memory").locator(".u-over").bounding_box()
    assert box is not None
    await desk.page.mouse.move(box["x"] + 100, box["y"] + 50)
    await desk.page.mouse.down()
    await desk.page.mouse.move(box["x"] + 220, box["y"] + 60, steps=4)
    await desk.page.mouse.up()
    await expect(desk.page).to_have_url(re.compile(r"range=\d+[ms]&end=\d+"))


async def test_a_panel_opens_in_query_with_its_expressions(desk: Tab):
    await desk.open("/")
    await desk.page.get_by_label("Open Network in Query").click()
    await expect(desk.page.locator("h1")).to_have_text("Query")
    await expect(desk.page.locator("canvas")).to_have_count(2)


async def test_reduced_motion_is_respected(browser: Browser, site: Site):
    async with tab(browser, site.url, reduced_motion="reduce") as page:
        await page.open("/")
        await page.page.wait_for_selector(".meter i")
        assert await page.page.eval_on_selector(".meter i", "bar => getComputedStyle(bar).transitionDuration") == "0s"


async def test_the_overview_is_light_to_load(browser: Browser, site: Site):
    async with tab(browser, site.url) as page:
        await page.open("/")
        await page.page.wait_for_selector(".panel canvas")
        sizes = await page.page.evaluate(
            """performance.getEntriesByType("resource").filter((entry) => /\\.(js|css)$/.test(entry.name))
               .map((entry) => [entry.decodedBodySize, entry.transferSize])"""
        )
        assert sum(size for size, _ in sizes) < 150_000
        assert sum(sent for _, sent in sizes) < 72_000
        painted = await page.page.evaluate('performance.getEntriesByName("first-contentful-paint")[0].startTime')
        assert painted < 5000
        assert INSTANCE in await page.text(".head")
