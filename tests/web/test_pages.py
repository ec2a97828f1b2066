"""Every page in a real browser: looks, keyboard, contrast, and what hostile data cannot do.

NUNCHI_SCREENSHOTS=docs/screenshots pytest tests/web -m browser     makes the pictures of the documentation anew
"""

import json
import re

import pytest
from playwright.async_api import Browser, expect
from tests.web.browser import LOOKS, Tab, screenshot, tab
from tests.web.site import Site, empty, hostile, serving
from tests.web.sources import HOSTILE

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


# Numbers that stand on more lines than one, and tables that are wider than what holds them.
BROKEN_TABLES = """() => {
    const isBroken = (cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell.firstChild ?? cell);
        return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom))).size > 1;
    };
    const isWide = (frame) => frame.scrollWidth > frame.clientWidth;
    const cells = [...document.querySelectorAll("td.number")].filter(isBroken);
    return [...cells, ...[...document.querySelectorAll(".table-frame")].filter(isWide)].map((one) => one.textContent);
}"""


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/status", ".quarters td.number"),
        ("/query?g0.expr=sum+by+(mode)+(rate(node_cpu_seconds_total[1m]))&g0.tab=1", ".result td.number"),
        ("/query?g0.expr=sum+by+(mode)+(rate(node_cpu_seconds_total[1m]))&g0.tab=2", ".plan td.number"),
    ],
)
async def test_tables_fit_a_phone_with_every_number_in_one_piece(browser: Browser, site: Site, path: str, content: str):
    async with tab(browser, site.url, **LOOKS["phone"]) as page:
        await page.open(path)
        await page.page.wait_for_selector(content)
        assert await page.page.evaluate(BROKEN_TABLES) == []


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
    tables = desk.page.locator(
        "section.card", has=desk.page.get_by_role("heading", name="Metric names with most series")
    )
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
        for path in (
            "/targets",
            "/agents",
            "/alerts?state=all",
            "/events",
            "/clouds",
            "/",
            "/query?g0.expr=node_load1",
        ):
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
