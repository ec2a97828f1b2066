"""A whole server over a disk that fills up: what is answered over HTTP, and what is there afterwards."""

from pathlib import Path
from random import Random

import pytest
from tests.server.house import ServerHouse

from nunchi.model.labels import Labels
from nunchi.testing.disk import UNBOUNDED, FaultyDisk

A, B = Labels.of("a", job="j"), Labels.of("b", job="j")
SCRAPING = (
    "scrape_configs: [{job_name: own, scrape_interval: 200ms, scrape_timeout: 200ms, "
    "static_configs: [{targets: ['localhost:1']}]}]"
)


def used_bytes(disk: FaultyDisk) -> int:
    return sum(len(stored.content) for stored in disk.files.values())


@pytest.mark.parametrize("partial_append_share", [0.0, 1.0])
async def test_a_full_disk_refuses_writes_answers_queries_and_recovers_by_itself(
    tmp_path: Path, partial_append_share: float
) -> None:
    disk = FaultyDisk(Random(1))
    disk.partial_append_share = partial_append_share
    house = ServerHouse(tmp_path, disk, SCRAPING)
    await house.server.start()
    now = house.clock.now_ms()
    assert (await house.write({A: [(now, 1.0)]}))[0] == 204
    assert await house.push(0, now, 1.5) == (200, '{"accepted":1,"duplicate":0,"rejected":{}}')
    await house.wait_metric('nunchi_admission_samples_accepted_total{source="scrape"}', 1)

    disk.bytes_max = used_bytes(disk) + 20
    for _ in range(3):
        status, headers, text = await house.write({A: [(now + 1, 2.0)], B: [(now + 1, 3.0)]})
        assert (status, "Retry-After" in headers) == (503, True)
        assert "no space left" in text
        assert (await house.push(1, now + 1, 2.5))[0] == 503
    assert (await house.query("a", now + 1))[0]["value"][1] == "1"
    assert await house.query("b", now + 1) == []
    assert await house.metric('nunchi_admission_samples_kept_total{source="remote_write"}') == 6
    assert await house.metric('nunchi_admission_samples_kept_total{source="push"}') >= 3
    assert await house.metric("nunchi_tsdb_commits_failed_total") >= 6
    await house.wait_metric('nunchi_admission_samples_kept_total{source="scrape"}', 10)

    disk.bytes_max = UNBOUNDED
    before = await house.metric('nunchi_admission_samples_accepted_total{source="scrape"}')
    assert (await house.write({A: [(now + 1, 2.0)], B: [(now + 1, 3.0)]}))[0] == 204
    assert await house.push(1, now + 1, 2.5) == (200, '{"accepted":1,"duplicate":0,"rejected":{}}')
    await house.wait_metric('nunchi_admission_samples_accepted_total{source="scrape"}', before + 1)
    await house.session.close()
    await house.server._give_back()
    disk.restart(power_lost=False)

    again = ServerHouse(tmp_path, disk)
    await again.server.start()
    for labels, wanted in (("a", ["1", "2"]), ("b", ["3"]), ("node_load1", ["1.5", "2.5"])):
        found = await again.query(f"{labels}[1h]", again.clock.now_ms())
        assert [value for _, value in found[0]["values"]] == wanted
    await again.stop()


async def test_rejected_samples_are_named_and_the_rest_stored(tmp_path: Path) -> None:
    house = ServerHouse(tmp_path, FaultyDisk(Random(1)))
    await house.server.start()
    now = house.clock.now_ms()
    assert (await house.write({A: [(now, 1.0)]}))[0] == 204
    status, _, text = await house.write({A: [(now, 2.0)], B: [(now, 3.0)]})
    assert status == 400
    assert "1 samples stored, 1 rejected (duplicate_timestamp: 1)" in text
    assert (await house.query("b", now))[0]["value"][1] == "3"
    assert (await house.query("a", now))[0]["value"][1] == "1"
    await house.stop()
