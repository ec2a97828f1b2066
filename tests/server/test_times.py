"""Which times are taken, on every path into a whole server: the past within the retention, the future for ten minutes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.server.house import ServerHouse

from nunchi.kit.system_disk import SystemDisk
from nunchi.model.labels import Labels

MINUTE_MS, DAY_MS = 60_000, 24 * 3600 * 1000
A, B = Labels.of("a", job="j"), Labels.of("b", job="j")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[ServerHouse]:
    made = ServerHouse(tmp_path, SystemDisk())
    await made.server.start()
    yield made
    await made.stop()


async def test_backfill_by_remote_write_starts_anywhere_within_the_retention(house: ServerHouse) -> None:
    now = house.clock.now_ms()
    assert (await house.write({A: [(now, 1.0)]}))[0] == 204
    days = [(now - days * DAY_MS, float(days)) for days in range(14, 0, -1)]
    assert (await house.write({B: days[:7]}))[0] == 204
    assert (await house.write({B: days[7:]}))[0] == 204
    assert (await house.query("count_over_time(b[15d])", now))[0]["value"][1] == "14"
    status, _, text = await house.write({B: [(now - 16 * DAY_MS, 0.0)], Labels.of("c"): [(now - 16 * DAY_MS, 0.0)]})
    assert (status, "too_old: 2" in text) == (400, True)
    status, _, text = await house.write({B: [(now - 2 * DAY_MS, 9.0)], A: [(now - DAY_MS, 9.0)]})
    assert (status, "duplicate_timestamp: 1" in text, "out_of_order: 1" in text) == (400, True, True)


async def test_more_than_ten_minutes_ahead_is_rejected_by_remote_write_and_push(house: ServerHouse) -> None:
    now = house.clock.now_ms()
    status, _, text = await house.write({A: [(now + 11 * MINUTE_MS, 1.0)], B: [(now + 9 * MINUTE_MS, 2.0)]})
    assert (status, "1 samples stored, 1 rejected (too_far_in_future: 1)" in text) == (400, True)
    assert await house.push(0, now + 11 * MINUTE_MS, 1.0) == (
        200, '{"accepted":0,"duplicate":0,"rejected":{"too_far_in_future":1}}',
    )  # fmt: skip
    assert await house.push(1, now + 9 * MINUTE_MS, 2.0) == (200, '{"accepted":1,"duplicate":0,"rejected":{}}')
    assert await house.query("a or node_load1", now + 10 * MINUTE_MS) != []
    assert await house.query("a", now + 12 * MINUTE_MS) == []


async def test_more_than_ten_minutes_ahead_is_rejected_by_scrapes(tmp_path: Path) -> None:
    async def metrics(_: web.Request) -> web.Response:
        now = house.clock.now_ms()
        return web.Response(text=f"far 1 {now + 11 * MINUTE_MS}\nnear 1 {now + 9 * MINUTE_MS}\nplain 1\n")

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    house = ServerHouse(
        tmp_path, SystemDisk(),
        "scrape_configs: [{job_name: own, scrape_interval: 300ms, scrape_timeout: 300ms, "
        f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]",
    )  # fmt: skip
    await house.server.start()
    rejected = 'nunchi_admission_samples_rejected_total{source="scrape",reason="too_far_in_future"}'
    await house.wait_metric(rejected, 2)
    now = house.clock.now_ms()
    assert len(await house.query("plain", now)) == 1
    assert len(await house.query("near", now + 10 * MINUTE_MS)) == 1
    assert await house.query("far", now + 12 * MINUTE_MS) == []
    await house.stop()
    await runner.cleanup()


async def test_subqueries_without_a_step_step_by_the_evaluation_interval(tmp_path: Path) -> None:
    house = ServerHouse(tmp_path, SystemDisk(), "global: {evaluation_interval: 15s}\n")
    await house.server.start()
    try:
        assert (await house.query("count_over_time(vector(1)[1m:])", 60_000))[0]["value"][1] == "4"
    finally:
        await house.stop()
