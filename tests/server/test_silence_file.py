"""Silences outlive the process that was asked for them."""

import asyncio
import json
from pathlib import Path
from random import Random

import pytest
from tests.server.house import ServerHouse

from nunchi.kit.disk import DiskFull
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.notify.matchers import make_matcher
from nunchi.notify.silences import Silence, Silences
from nunchi.server.silence_file import SilenceFile
from nunchi.testing.clock import VirtualClock

NOW_MS = 1_700_000_000_000


class Opened:
    """A life of the silences of one file."""

    def __init__(self, path: Path, disk: SystemDisk | None = None) -> None:
        self.silences = Silences(VirtualClock(), Random(1))
        self.file = SilenceFile(path, disk or SystemDisk(), self.silences, logger("notify"))
        self.file.open()


class FullDisk(SystemDisk):
    """A disk that takes nothing."""

    def write_atomically(self, path: Path, content: object, mode: int = 0) -> None:
        raise DiskFull("write", path, "no space left on device")


def silence(**changes: object) -> Silence:
    matchers = (make_matcher("a", "=", "b"), make_matcher("c", "!~", "d.*"))
    given = {"starts_at_ms": NOW_MS, "ends_at_ms": NOW_MS + 60_000, "created_by": "ann", "comment": "눈치", **changes}
    return Silence(matchers, **given)  # type: ignore[arg-type] # the values are of their fields


def test_every_change_is_there_after_a_restart(tmp_path: Path):
    path = tmp_path / "silences.json"
    first = Opened(path)
    kept, ended = first.silences.set(silence()), first.silences.set(silence(comment="other"))
    first.silences.end(ended)
    second = Opened(path)
    assert second.silences.all() == first.silences.all()
    assert second.silences.lookup(kept).comment == "눈치"
    changed = silence(id=kept, comment="longer")
    assert second.silences.set(changed) == kept
    assert Opened(path).silences.lookup(kept).comment == "longer"


@pytest.mark.parametrize("content", [b"", b"[{]", b"{}", b'[{"id": 1}]', b"\xff"])
def test_a_file_that_cannot_be_read_is_set_aside(tmp_path: Path, content: bytes):
    path = tmp_path / "silences.json"
    path.write_bytes(content)
    opened = Opened(path)
    assert opened.silences.all() == []
    assert (tmp_path / "silences.json.damaged").read_bytes() == content
    opened.silences.set(silence())
    assert len(json.loads(path.read_text())) == 1


def test_a_disk_that_takes_nothing_costs_no_silence_while_the_process_lives(tmp_path: Path):
    opened = Opened(tmp_path / "silences.json", FullDisk())
    assert opened.silences.lookup(opened.silences.set(silence())).comment == "눈치"


async def test_a_silence_set_over_http_outlives_the_server(tmp_path: Path):
    body = {
        "matchers": [{"name": "alertname", "value": "Down", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2096-01-01T00:00:00Z",
        "createdBy": "ann",
        "comment": "known",
    }
    first = ServerHouse(tmp_path, SystemDisk())
    await first.open()
    async with first.session.post(f"{first.server.url}/api/v2/silences", json=body) as response:
        assert response.status == 200, await response.text()
    await asyncio.gather(*filter(None, [first.loading]))
    await first.stop()
    second = ServerHouse(tmp_path, SystemDisk())
    await second.open()
    _, text, _ = await second.get("/api/v2/silences")
    assert [one["comment"] for one in json.loads(text)] == ["known"]
    await asyncio.gather(*filter(None, [second.loading]))
    await second.stop()
