"""Chromium for tests: pages that remember every console message, error, CSP violation and request that they made."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": PHONE, "has_touch": True, "is_mobile": True},
    "phone-dark": {"color_scheme": "dark", "viewport": PHONE, "has_touch": True, "is_mobile": True},
}
WAIT_MS = 15_000
PICTURES = frozenset(
    {
        *("overview-light", "overview-dark", "overview-phone", "overview-tooltip", "overview-young"),
        *("query-light", "query-dark", "query-phone", "query-suggestions", "query-error", "query-plan"),
        *("clouds-light", "clouds-dark", "clouds-phone", "clouds-resources", "clouds-resources-phone"),
        *("agents-light", "agents-dark", "agents-phone", "agent-light", "agent-dark", "agent-phone"),
        *("events-light", "events-dark", "events-phone", "events-checks", "events-checks-phone"),
        *("targets-light", "alerts-light", "alerts-dark", "rules-light", "status-light", "menu-phone"),
    }
)
WATCH_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Tab:
    """A page and what it said."""

    page: Page
    origin: str
    messages: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Go to a path and wait until its page stands."""
        await self.page.goto(self.origin + path)
        await self.page.wait_for_selector("main h1")

    async def faults(self) -> list[str]:
        """Everything that a good page never does."""
        violations = await self.page.evaluate("window.violations")
        wide = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        overflow = [f"page is {wide} pixels wider than the window"] if wide > 0 else []
        return [*self.messages, *self.strangers, *violations, *overflow]

    async def text(self, selector: str) -> str:
        return await self.page.inner_text(selector)


def find_chromium() -> str:
    """Debian's Chromium; skips where it is absent, fails there on CI."""
    found = shutil.which("chromium")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("chromium is not installed: .ci/run installs it")
    pytest.skip("chromium is not installed: apt-get install chromium")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    path = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def tab(browser: Browser, origin: str, **options: Any) -> AsyncIterator[Tab]:
    """A fresh profile with one page; nothing that leaves the origin gets out."""
    context = await browser.new_context(viewport=options.pop("viewport", DESKTOP), locale="en-GB", **options)
    page = await context.new_page()
    page.set_default_timeout(WAIT_MS)
    made = Tab(page, origin)

    async def watch(route: Route) -> None:
        if route.request.url.startswith(origin + "/"):
            made.requests.append(route.request.url.removeprefix(origin))
            await route.continue_()
        else:
            made.strangers.append(f"request to {route.request.url}")
            await route.abort()

    await context.route("**/*", watch)
    await page.add_init_script(WATCH_VIOLATIONS)
    page.on("console", lambda message: made.messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: made.messages.append(f"uncaught: {error}"))
    page.on("dialog", lambda dialog: made.messages.append(f"dialog: {dialog.message}"))
    try:
        yield made
    finally:
        await context.close()


async def screenshot(made: Tab, name: str, *, whole: bool = True) -> None:
    """Keep a picture of the documentation where NUNCHI_SCREENSHOTS names a folder; docs/screenshots is made so."""
    folder = os.environ.get("NUNCHI_SCREENSHOTS")
    if folder and name in PICTURES:
        await made.page.screenshot(path=f"{folder}/{name}.png", full_page=whole)
