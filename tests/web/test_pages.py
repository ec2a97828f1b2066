"""Every page in a real browser: looks, state in the URL, liveness, and what hostile data cannot do.

NUNCHI_SCREENSHOTS=docs/screenshots pytest tests/web/test_pages.py     makes the pictures of the documentation anew
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect
from tests.web.browser import PHONE, Tab, chromium, screenshot, tab
from tests.web.site import Site, empty, hostile, serving
from tests.web.sources import HOSTILE, INSTANCE
from tests.web.synthetic import put

from nunchi.model.labels import Labels

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PAGES = {
    "overview": ("/", "Overview"),
    "query": (
        "/query?g0.expr=sum+by+(mode)+(rate(node_cpu_seconds_total[1m]))&g0.tab=0&g0.range_input=15m&g1.expr=node_load1&g1.tab=1",
        "Query",
    ),
    "targets": ("/targets", "Targets"),
    "alerts": ("/alerts", "Alerts"),
    "events": ("/events", "Events"),
    "rules": ("/rules", "Rules"),
    "clouds": ("/clouds", "Clouds"),
    "status": ("/status", "Status"),
}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": PHONE, "has_touch": True, "is_mobile": True},
    "phone-dark": {"color_scheme": "dark", "viewport": PHONE, "has_touch": True, "is_mobile": True},
}
CONTENT = {
    "overview": ".panel canvas",
    "query": ".result td.number",
    "targets": "table .pill",
    "alerts": ".alert",
    "events": ".event-title",
    "rules": "table .pill",
    "clouds": "table .pill",
    "status": ".facts dd",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser, site: Site) -> AsyncIterator[Tab]:
    """A desktop page of the healthy site that must not have misbehaved in the end."""
    async with tab(browser, site.url) as made:
        yield made
        assert await made.faults() == []


def panel(made: Tab, title: str) -> Locator:
    """The panel of a title."""
    return made.page.locator(".panel").filter(has=made.page.get_by_role("heading", name=title, exact=True))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_shows_itself_without_fault(browser: Browser, site: Site, name: str, look: str):
    path, title = PAGES[name]
    async with tab(browser, site.url, **LOOKS[look]) as page:
        await page.open(path)
        await page.page.wait_for_selector(CONTENT[name])
        await page.page.wait_for_load_state("networkidle")
        await screenshot(page, f"{name}-{look}")
        assert await page.page.title() == f"{title} · nunchi"
        assert await page.faults() == []


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


async def test_suggestions_are_taken_by_keyboard(desk: Tab):
    await desk.open("/query")
    editor = desk.page.get_by_label("PromQL expression")
    await editor.press_sequentially("rat")
    await expect(desk.page.get_by_role("option").first).to_contain_text("rate")
    await editor.press("Enter")
    await expect(editor).to_have_value("rate(")
    await editor.press_sequentially("node_cpu")
    await expect(desk.page.get_by_role("option", selected=True)).to_contain_text("Seconds the CPUs spent")
    await editor.press("Tab")
    await editor.press_sequentially("{mo")
    await expect(desk.page.get_by_role("option").first).to_contain_text("mode")
    await editor.press("Enter")
    await editor.press_sequentially('="id')
    await expect(desk.page.get_by_role("option").first).to_contain_text("idle")
    await screenshot(desk, "query-suggestions", whole=False)
    await editor.press("Enter")
    await editor.press_sequentially('"}[15m])')
    await editor.press("Enter")
    await expect(desk.page.locator(".result tbody tr")).to_have_count(4)
    await expect(desk.page).to_have_url(re.compile(r"g0\.expr=rate%28node_cpu_seconds_total%7Bmode%3D%22idle%22%7D"))


async def test_what_was_run_is_recalled_with_the_arrows(desk: Tab):
    await desk.open("/query")
    editor = desk.page.get_by_label("PromQL expression")
    for expression in ("vector(1)", "vector(2)"):
        await editor.fill(expression)
        await editor.press("Escape")
        await editor.press("Enter")
        await expect(desk.page.locator(".result td.number")).to_have_text(expression[7])
    await desk.page.reload()
    await editor.fill("")
    await editor.press("ArrowUp")
    await editor.press("ArrowUp")
    await expect(editor).to_have_value("vector(1)")
    await editor.press("ArrowDown")
    await expect(editor).to_have_value("vector(2)")


async def test_the_plan_of_a_query_shows_what_each_step_cost(desk: Tab):
    await desk.open("/query?g0.expr=sum+by+(mode)+(rate(node_cpu_seconds_total[1m]))&g0.tab=2&g0.range_input=15m")
    steps = desk.page.locator(".plan tbody tr")
    await expect(steps).to_have_count(3)
    await expect(steps.nth(0)).to_contain_text("sum by (mode)")
    await expect(steps.nth(1)).to_contain_text("rate()")
    await expect(steps.nth(2)).to_contain_text("node_cpu_seconds_total[1m]")
    await expect(desk.page.locator(".taken")).to_contain_text("series out of")
    await screenshot(desk, "query-plan", whole=False)
    await desk.page.get_by_role("button", name="Table").click()
    await expect(desk.page.locator(".result tbody tr")).to_have_count(8)


async def test_an_error_is_shown_at_its_place(browser: Browser, site: Site):
    async with tab(browser, site.url) as page:
        await page.open("/query?g0.expr=sum(node_load1))%2B1")
        await expect(page.page.get_by_role("alert")).to_contain_text("parse error")
        await expect(page.page.locator(".place mark")).to_have_text(")")
        await screenshot(page, "query-error", whole=False)
        refused = "error: Failed to load resource: the server responded with a status of 400 (Bad Request)"
        assert set(await page.faults()) == {refused}


async def test_warnings_stand_above_the_result(desk: Tab):
    await desk.open("/query?g0.expr=quantile(2, node_load1)")
    await expect(desk.page.locator(".notice.tone-warn")).to_contain_text("quantile value should be between 0 and 1")


async def test_links_of_prometheus_open_the_same_query(desk: Tab):
    await desk.open("/graph?g0.expr=node_load1&g0.tab=0&g0.range_input=5m&g1.expr=1%2B1&g1.tab=1")
    await expect(desk.page.locator("canvas")).to_have_count(1)
    await expect(desk.page.get_by_role("button", name="5m", exact=True)).to_have_attribute("aria-pressed", "true")
    await expect(desk.page.get_by_text("scalar")).to_be_visible()


async def test_expressions_are_added_and_removed(desk: Tab):
    await desk.open("/query?g0.expr=1")
    await desk.page.get_by_role("button", name="Add expression").click()
    await desk.page.get_by_label("PromQL expression").nth(1).fill("2")
    await desk.page.get_by_role("button", name="Run").nth(1).click()
    await expect(desk.page).to_have_url(re.compile(r"g1\.expr=2"))
    await desk.page.get_by_role("button", name="Remove this expression").first.click()
    await expect(desk.page).to_have_url(re.compile(r"g0\.expr=2(?!.*g1\.expr)"))
    await expect(desk.page.get_by_label("PromQL expression")).to_have_count(1)


async def test_a_panel_opens_in_query_with_its_expressions(desk: Tab):
    await desk.open("/")
    await desk.page.get_by_label("Open Network in Query").click()
    await expect(desk.page.locator("h1")).to_have_text("Query")
    await expect(desk.page.locator("canvas")).to_have_count(2)


async def test_targets_are_filtered_by_state_and_text(desk: Tab):
    await desk.open("/targets")
    await desk.page.get_by_role("button", name="Down").click()
    await expect(desk.page.locator(".reason")).to_contain_text("connection refused")
    await expect(desk.page.locator("tbody tr")).to_have_count(1)
    await desk.page.get_by_role("searchbox").fill("docker")
    await expect(desk.page.locator("tbody tr")).to_have_count(1)
    await expect(desk.page).to_have_url(re.compile(r"state=down&search=docker"))


async def test_alerts_show_labels_annotations_and_since_when(desk: Tab):
    await desk.open("/alerts")
    firing = desk.page.locator(".card", has_text="InstanceDown")
    await expect(firing).to_contain_text('instance="127.0.0.1:9323"')
    await expect(firing).to_contain_text("has not answered for 5 minutes")
    await expect(firing).to_contain_text("since")
    await expect(desk.page.locator(".card", has_text="ClockSkew")).to_have_count(0)
    await desk.page.get_by_role("button", name="All").click()
    await expect(desk.page.locator(".card", has_text="ClockSkew")).to_have_count(1)


async def test_a_failing_rule_says_why(desk: Tab):
    await desk.open("/rules")
    await desk.page.get_by_role("button", name="Failing").click()
    await expect(desk.page.locator("tbody tr")).to_have_count(1)
    await expect(desk.page.locator(".reason")).to_contain_text("found duplicate series")


async def test_secrets_are_not_on_the_status_page(desk: Tab):
    await desk.open("/status")
    await expect(desk.page.get_by_label("Configuration")).to_contain_text("password: <secret>")
    await expect(desk.page.locator(".facts").nth(2)).to_contain_text("Series")


async def test_cardinality_is_narrowed_by_a_selector(desk: Tab):
    await desk.open("/status")
    tables = desk.page.locator("section.card", has=desk.page.get_by_role("heading", name="Metric names with most series"))
    await expect(tables.locator("tr").first).to_be_visible()
    box = desk.page.get_by_label("Selector of the series to count")
    await box.fill("up")
    await box.press("Enter")
    await expect(tables.locator("tr")).to_have_count(1)
    await expect(tables.locator("tr td").first).to_have_text("up")


async def test_an_address_that_is_no_page_says_so(browser: Browser, site: Site):
    async with tab(browser, site.url) as page:
        answer = await page.page.goto(site.url + "/<nowhere>")
        assert answer is not None
        assert answer.status == 404
        await expect(page.page.locator(".empty")).to_contain_text("There is no page at this address")
        assert await page.page.title() == "Not found · nunchi"


async def test_the_theme_is_chosen_and_remembered(desk: Tab):
    await desk.open("/status")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await desk.page.evaluate(ground)
    button = desk.page.get_by_role("button", name="Theme")
    await button.click()
    await button.click()
    dark = await desk.page.evaluate(ground)
    assert light != dark
    await desk.page.reload()
    await desk.page.wait_for_selector("h1")
    assert await desk.page.evaluate(ground) == dark
    await expect(button).to_have_attribute("aria-label", "Theme: dark")


async def test_on_a_phone_the_pages_fold_into_a_menu(browser: Browser, site: Site):
    async with tab(browser, site.url, **LOOKS["phone"]) as page:
        await page.open("/")
        link = page.page.get_by_role("link", name="Rules")
        await expect(link).to_be_hidden()
        await page.page.get_by_role("button", name="Pages").click()
        await screenshot(page, "menu-phone", whole=False)
        await link.click()
        await expect(page.page.locator("h1")).to_have_text("Rules")
        await expect(page.page.get_by_role("link", name="Alerts")).to_be_hidden()
        assert await page.faults() == []


async def test_the_keyboard_reaches_content_and_pages(desk: Tab):
    await desk.open("/")
    await desk.page.keyboard.press("Tab")
    assert await desk.page.evaluate("document.activeElement.textContent") == "Skip to content"
    for expected in ("nunchi", "Overview", "Query"):
        await desk.page.keyboard.press("Tab")
        assert await desk.page.evaluate("document.activeElement.textContent.trim()") == expected
    assert await desk.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.locator("h1")).to_have_text("Query")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_texts_stand_out_from_their_ground(browser: Browser, site: Site, scheme: str):
    """WCAG AA: 4.5 to 1, measured for every text that a page shows."""
    async with tab(browser, site.url, color_scheme=scheme) as page:
        for path in ("/targets", "/agents", "/alerts?state=all", "/events", "/clouds", "/", "/query?g0.expr=node_load1"):
            await page.open(path)
            await page.page.wait_for_load_state("networkidle")
            assert await page.page.evaluate(FAINT_TEXTS) == [], path


FAINT_TEXTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("").trim();
    if (!text || !element.checkVisibility() || element.closest(":disabled, noscript, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("look", ["light", "phone"])
async def test_hostile_labels_stay_text_and_break_nothing(browser: Browser, look: str):
    async with serving(hostile) as site, tab(browser, site.url, **LOOKS[look]) as page:
        name = json.dumps(HOSTILE["markup"])
        quoted = json.dumps('{__name__=~".*hostile.*|.*img.*"}')[1:-1].replace('\\"', '"')
        for path, selector in {
            "/": ".instance-choice",
            f"/?instance={HOSTILE['markup'].replace('=', '%3D').replace('#', '%23')}": ".panel canvas",
            f"/query?g0.expr={quoted}&g0.tab=1": ".result .label",
            f"/query?g0.expr={quoted}&g0.tab=0&g0.range_input=5m": ".legend button",
            "/targets": ".reason",
            "/alerts?state=all": ".alert",
            "/rules": "tbody",
            "/clouds": ".reason",
            "/events": ".event-text",
            "/events?view=checks": ".event-text",
            "/clouds?view=resources": "tbody .label",
            "/status": ".facts",
        }.items():
            await page.open(path)
            await page.page.wait_for_selector(selector)
            await page.page.wait_for_load_state("networkidle")
            assert await page.page.locator('img[src="x"]').count() == 0, path
            assert await page.page.locator('a[href^="javascript:"]').count() == 0, path
            assert "pwned" not in await page.page.title(), path
            assert await page.faults() == [], path
        await page.open("/query")
        editor = page.page.get_by_label("PromQL expression")
        await editor.press_sequentially("<img")
        await editor.fill(f"{{__name__={name}")
        await editor.press("Control+ ")
        await page.page.wait_for_load_state("networkidle")
        assert await page.faults() == []


async def test_an_empty_server_explains_itself_on_every_page(browser: Browser):
    async with serving(empty, filled=False) as site, tab(browser, site.url) as page:
        for path, text in {
            "/targets": "Nothing is scraped",
            "/alerts": "All is quiet",
            "/rules": "There are no rules",
            "/clouds": "No cloud is watched",
            "/events": "Nothing has happened yet",
            "/events?view=checks": "No service tells how it fares",
            "/clouds?view=resources": "No resources are known",
            "/status": "no samples yet",
        }.items():
            await page.open(path)
            await expect(page.page.locator("main")).to_contain_text(text)
        await page.open("/")
        await expect(page.page.locator("main")).to_contain_text("No data in this range")
        assert await page.faults() == []


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
            await asyncio.sleep(1.6)
            under_way["now"] -= 1
            await route.abort()

        await page.page.route("**/api/v1/rules*", slowly)
        await page.open("/rules")
        await expect(page.page.locator(".banner")).to_be_visible()
        await asyncio.sleep(6)
        assert under_way["most"] == 1
        assert under_way["asked"] <= 3


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
