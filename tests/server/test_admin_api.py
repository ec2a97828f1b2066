"""Deleting and copying over HTTP, of a whole server with its database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import build_server
from nunchi.server.world import World
from nunchi.testing.contracts.store import LOAD_A, LOAD_B, UP, append, select
from nunchi.tsdb.database import Database
from nunchi.tsdb.maintenance import Maintenance
from nunchi.tsdb.telemetry import DatabaseTelemetry

ADMIN = "/api/v1/admin/tsdb/"


@dataclass
class House:
    """A running server, and who asks it."""

    url: str
    folder: Path
    database: Database
    session: aiohttp.ClientSession
    world: World = field(default_factory=World)

    async def post(self, path: str, method: str = "POST", **arguments: object) -> tuple[int, str]:
        async with self.session.request(method, self.url + path, **arguments) as response:
            return response.status, await response.text()


async def serving(folder: Path, *, is_enabled: bool) -> AsyncIterator[House]:
    flags = ServerFlags(storage_tsdb_path=folder, web_listen_address="127.0.0.1:0", web_enable_admin_api=is_enabled)
    server = build_server(flags, ConfigurationLoader(None, None, {}), World(random=Random(1)))
    [database] = [part._database for part in server._parts.takers if isinstance(part, Maintenance)]
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield House(server.url, folder, database, session)
    finally:
        await server.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async for each in serving(tmp_path / "data", is_enabled=True):
        yield each


async def test_what_is_deleted_is_no_longer_read_and_its_room_is_given_back(house: House) -> None:
    now = house.world.clock.now_ms() // 1000 * 1000
    append(house.database, {series: [(now - 2000, 1.0), (now - 1000, 2.0)] for series in (UP, LOAD_A, LOAD_B)})
    query = {"query": "up[1m]", "time": str(now / 1000)}
    range_query = {"query": "up", "start": str(now / 1000 - 2), "end": str(now / 1000), "step": "1"}
    assert '"2"' in (await house.post("/api/v1/query", data=query))[1]
    assert '"2"' in (await house.post("/api/v1/query_range", data=range_query))[1]
    form = {"match[]": "up", "start": str(now / 1000 - 1), "end": str(now / 1000)}
    assert await house.post(ADMIN + "delete_series", data=form) == (204, "")
    assert '"2"' not in (await house.post("/api/v1/query", data=query))[1]
    assert '"2"' not in (await house.post("/api/v1/query_range", data=range_query))[1]
    assert select(house.database)[UP] == [(now - 2000, 1.0)]
    assert await house.post(ADMIN + "delete_series", "PUT", params={"match[]": dict(LOAD_A)["__name__"]}) == (204, "")
    assert set(select(house.database)) == {UP}
    assert await house.post(ADMIN + "clean_tombstones") == (204, "")
    assert select(house.database) == {UP: [(now - 2000, 1.0)]}
    assert house.database.statistics().samples == 1


async def test_kept_results_of_queries_do_not_outlive_a_deletion(house: House) -> None:
    hour_ago = house.world.clock.now_ms() // 1000 * 1000 - 3_600_000
    append(house.database, {UP: [(hour_ago, 1.0), (hour_ago + 1000, 2.0)]})
    start = hour_ago / 1000
    query = {"query": "up", "start": str(start), "end": str(start + 60), "step": "1"}
    for _ in range(2):
        assert '"2"' in (await house.post("/api/v1/query_range", data=query))[1]
    assert await house.post(ADMIN + "delete_series", data={"match[]": "up"}) == (204, "")
    assert '"result":[]' in (await house.post("/api/v1/query_range", data=query))[1]


async def test_a_snapshot_is_a_data_folder(house: House) -> None:
    now = house.world.clock.now_ms()
    append(house.database, {UP: [(now - 1000, 1.0)]})
    async with house.session.post(house.url + ADMIN + "snapshot") as response:
        name = (await response.json())["data"]["name"]
    world = house.world
    copy = Database(
        house.folder / "snapshots" / name, world.disk, world.clock, DatabaseTelemetry(Telemetry()), logger("tsdb")
    )
    copy.open()
    assert select(copy) == {UP: [(now - 1000, 1.0)]}
    copy.close()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("delete_series", "no match[] parameter provided"),
        ("delete_series?match[]=up&start=soon", "start"),
        ("delete_series?match[]={}", "match[]"),
        ("snapshot?skip_head=perhaps", "unable to parse boolean"),
    ],
)
async def test_what_makes_no_sense_is_bad_data(house: House, path: str, message: str) -> None:
    status, text = await house.post(ADMIN + path)
    assert (status, '"errorType":"bad_data"' in text, message in text) == (400, True, True), text


async def test_another_site_cannot_delete(house: House) -> None:
    headers = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    status, _ = await house.post(ADMIN + "delete_series", data={"match[]": "up"}, headers=headers)
    assert status == 403


async def test_without_its_flag_nothing_is_deleted(tmp_path: Path) -> None:
    async for house in serving(tmp_path / "data", is_enabled=False):
        status, text = await house.post(ADMIN + "delete_series", data={"match[]": "up"})
        assert (status, "--web.enable-admin-api" in text) == (403, True)
