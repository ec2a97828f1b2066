"""The query page in a real browser: the editor, results, errors, plans, and state in the URL."""

import re

import pytest
from playwright.async_api import Browser, expect
from tests.web.browser import Tab, screenshot, tab
from tests.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


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
        await page.open("/query?g0.expr=sum(node_load1+%2B)")
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
