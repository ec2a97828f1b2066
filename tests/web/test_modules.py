"""The pages' pure modules, asked inside of the browser: units, times, completion, stacking."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.web.browser import Tab, chromium, tab
from tests.web.site import empty, serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Tab]:
    async with serving(empty, filled=False) as site, chromium() as browser, tab(browser, site.url) as made:
        await made.open("/rules")
        yield made


async def call(page: Tab, module: str, function: str, *arguments: Any) -> Any:
    """What an exported function of a module returns."""
    script = "async ([path, name, given]) => (await import(path))[name](...given)"
    path = await page.page.evaluate("document.querySelector('script[type=module]').src.replace('app.js', '')")
    return await page.page.evaluate(script, [path + module, function, list(arguments)])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1536, "bytes", "1.5 KiB"),
        (16 * 2**30, "bytes", "16 GiB"),
        (2.5e6, "bytes/s", "2.38 MiB/s"),
        (0.1234, "percent", "12.3 %"),
        (1, "percent", "100 %"),
        (0.00042, "percent", "0.04 %"),
        (0.0124, "seconds", "12.4 ms"),
        (59.99, "seconds", "60 s"),
        (3599, "seconds", "59 m 59 s"),
        (3 * 86400, "seconds", "3 d"),
        (93784, "seconds", "1 d 2 h"),
        (1234567, "count", "1.23 M"),
        (0.5469, "count", "0.55"),
        (None, "count", "–"),
        (-1500000000, "", "-1.5 G"),
        (0.25, "", "0.25"),
    ],
)
async def test_values_have_few_digits_and_a_unit(page: Tab, value: float | None, unit: str, text: str):
    assert await call(page, "units.js", "format", value, unit) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("1h30m", 5400), ("2d", 172800), ("250ms", 0.25), ("x", None), ("5", None)]
)
async def test_durations_are_read(page: Tab, text: str, seconds: float | None):
    found = await call(page, "time.js", "parseDuration", text)
    assert (None if math.isnan(found) else found) == seconds


async def test_an_axis_of_durations_counts_in_what_clocks_have(page: Tab):
    script = """async (own) => {
        const { SECOND_STEPS, duration } = await import(own + "units.js");
        return [SECOND_STEPS, SECOND_STEPS.filter((step) => step >= 1).map(duration)];
    }"""
    own = await page.page.evaluate("document.querySelector('script[type=module]').src.replace('app.js', '')")
    steps, shown = await page.page.evaluate(script, own)
    assert steps == sorted(set(steps))
    assert shown[:16] == [
        *("1 s", "2 s", "5 s", "10 s", "15 s", "30 s", "1 m", "2 m", "5 m", "10 m", "15 m", "30 m", "1 h", "2 h", "3 h", "6 h"),
    ]  # fmt: skip


async def test_grids_lie_on_multiples_of_their_step(page: Tab):
    assert await call(page, "time.js", "gridOf", {"range": 900, "end": 1003}) == {"start": 100, "end": 1000, "step": 5}
    assert await call(page, "time.js", "gridOf", {"range": 86400, "end": 86399}) == {
        "start": -600,
        "end": 85800,
        "step": 600,
    }


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("rat", "name", "rat"),
        ("sum(rate(node_", "name", "node_"),
        ("up{", "label", ""),
        ("up{jo", "label", "jo"),
        ('up{job="x", inst', "label", "inst"),
        ('up{job="no', "value", "no"),
        ('up{job=~"a|', "value", "a|"),
        ("sum by (jo", "label", "jo"),
        ("x / on(", "label", ""),
        ("rate(x[5", None, None),
        ("5m", None, None),
        ('"text', None, None),
        ("up # comm", None, None),
        ("up # comm\n+ su", "name", "su"),
    ],
)
async def test_completion_knows_what_is_being_typed(page: Tab, text: str, kind: str | None, word: str | None):
    found = await call(page, "components/completion.js", "contextOf", text)
    assert (found and found["kind"], found and found["word"]) == (kind, word)


async def test_matches_at_the_beginning_come_first(page: Tab):
    candidates = [{"text": text} for text in ("irate", "rate", "node_rate_total", "rated", "sum")]
    found = await call(page, "components/completion.js", "rank", candidates, "rat")
    assert [each["text"] for each in found] == ["rate", "rated", "irate", "node_rate_total"]


async def test_absent_values_stay_gaps_and_equal_legends_are_told_apart(page: Tab):
    result = [
        {"metric": {"a": "1"}, "values": [[10, "1"], [30, "+Inf"]]},
        {"metric": {"a": "1"}, "values": [[20, "2"]]},
    ]
    grid = {"start": 10, "end": 30, "step": 10}
    found = await call(page, "components/matrix.js", "chartData", [{"result": result, "legend": "{{a}}"}], grid)
    assert [(series["label"], series["values"]) for series in found["series"]] == [
        ("1", [1, None, None]),
        ("1 (2)", [None, 2, None]),
    ]


async def test_variables_cannot_leave_their_quotes(page: Tab):
    expression = 'up{instance="$instance"}[$window] $other'
    found = await call(page, "components/panel.js", "fill", expression, {"instance": 'a"} or b{c="\\', "window": "60s"})
    assert found == 'up{instance="a\\"} or b{c=\\"\\\\"}[60s] $other'
