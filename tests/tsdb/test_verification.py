"""Every file kind: a damaged one is named with place and loss, a newer one refused, a strange one left alone, all repaired."""

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append, select
from nunchi.tsdb.database import Database
from nunchi.tsdb.errors import CorruptionError, NewerVersionError
from nunchi.tsdb.files import Folder
from nunchi.tsdb.repair import rebuild_manifest
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.tsdb.verification import Verification, verify_folder

HOUR_MS = 3_600_000
SERIES = [Labels.of(f"metric{number % 7}", number=str(number)) for number in range(60)]


def open_database(path: Path, clock: VirtualClock) -> Database:
    settings = DatabaseSettings(retention_ms=10**13, late_max_ms=10**13)
    database = Database(path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"), settings)
    database.open()
    return database


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def folder(tmp_path: Path, clock: VirtualClock) -> Path:
    """A block or more, a run, labels, and a log with samples of its own."""
    now_ms = clock.now_ms()
    database = open_database(tmp_path, clock)
    for hour in range(6, 0, -1):
        times = range(now_ms - hour * HOUR_MS, now_ms - (hour - 1) * HOUR_MS, 60_000)
        append(database, {labels: [(t, float(t % 1013)) for t in times] for labels in SERIES})
        database.seal()
    database.maintain()
    append(database, {SERIES[0]: [(now_ms, 1.0)], Labels.of("logged"): [(now_ms, 2.0)]})
    append(database, {SERIES[1]: [(now_ms, 3.0)]})
    database.abandon()
    assert list((tmp_path / "blocks").iterdir())
    assert list((tmp_path / "head").glob("*.run"))
    return tmp_path


def verify(path: Path) -> Verification:
    return verify_folder(SystemDisk(), Folder(path), lambda *_: None)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


def test_a_whole_folder_is_whole(folder: Path) -> None:
    found = verify(folder)
    assert (found.damages, found.notes, found.strangers, found.leftovers) == ([], [], [], [])
    assert found.files == sum(1 for path in folder.rglob("*") if path.is_file()) - 1  # the lock has no bytes to check


@pytest.mark.parametrize(
    ("pattern", "place", "kind", "lost"),
    [
        ("manifest.json", 40, "manifest", "which files count"),
        ("blocks/*/meta.json", 3, "block", "all samples of block"),
        ("blocks/*/index", 20, "block", "samples of 60 series"),
        ("blocks/*/index", 5, "block", "nothing, its end says the same"),
        ("blocks/*/chunks", 40, "block", "samples of"),
        ("head/*.run", 0, "run", "nothing, its end says the same"),
        ("blocks/*/chunks", -5, "block", "samples of 60 series"),
        ("head/*.run", 40, "run", "samples of"),
        ("head/*.run", -5, "run", "all samples of run"),
        ("head/*.series", 60, "series", "60 series of the head"),
        ("wal/*.segment", 20, "wal", "not sealed yet"),
    ],
)
def test_damage_is_named_and_repaired(
    folder: Path, clock: VirtualClock, pattern: str, place: int, kind: str, lost: str
) -> None:
    path = first(folder, pattern)
    before = select(Database.look(folder, SystemDisk(), clock, logger("tsdb")))
    flip(path, place)
    found = verify(folder)
    own = [damage for damage in found.damages if damage.path == path]
    assert own, found.damages
    assert own[0].kind == kind
    assert str(path) in own[0].text
    assert any(lost in damage.lost for damage in own), own
    if kind == "manifest":
        rebuild_manifest(SystemDisk(), Folder(folder))
    database = open_database(folder, clock)
    database.repair(found.damages)
    after = select(database)
    database.close()
    assert verify(folder).damages == []
    assert set(after) <= set(before)
    for labels, samples in after.items():
        assert set(samples) <= set(before[labels])
    if kind == "manifest":
        assert after == before
    if kind == "wal":
        assert all(len(after[labels]) >= len(before[labels]) - 1 for labels in SERIES)
    reopened = open_database(folder, clock)
    assert select(reopened) == after
    reopened.close()


def test_without_its_manifest_nothing_is_taken_for_left_over(folder: Path, clock: VirtualClock) -> None:
    before = select(Database.look(folder, SystemDisk(), clock, logger("tsdb")))
    (folder / "manifest.json").unlink()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for opens in (open_database, lambda *_: Database.look(folder, SystemDisk(), clock, logger("tsdb"))):
        with pytest.raises(CorruptionError, match=r"manifest\.json is missing, and only it says"):
            opens(folder, clock)
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == files
    [damage] = verify(folder).damages
    assert (damage.kind, "is missing" in damage.text) == ("manifest", True)
    rebuild_manifest(SystemDisk(), Folder(folder))
    assert verify(folder).damages == []
    database = open_database(folder, clock)
    assert select(database) == before
    database.close()


def test_a_folder_has_its_manifest_before_anything_is_sealed(tmp_path: Path, clock: VirtualClock) -> None:
    database = open_database(tmp_path, clock)
    assert (tmp_path / "manifest.json").is_file()
    database.abandon()
    (tmp_path / "manifest.json").unlink()
    open_database(tmp_path, clock).close()


@pytest.mark.parametrize("field", ["min_time", "max_time", "samples", "level"])
def test_what_a_block_says_of_itself_is_checked(folder: Path, clock: VirtualClock, field: str) -> None:
    path = first(folder, "blocks/*/meta.json")
    content = path.read_bytes()
    digit = content.index(b":", content.index(f'"{field}"'.encode())) + 2
    path.write_bytes(content[:digit] + (b"1" if content[digit : digit + 1] == b"2" else b"2") + content[digit + 1 :])
    [damage] = verify(folder).damages
    assert (damage.kind, damage.text) == ("block", f"{path} fails its checksum")
    database = open_database(folder, clock)
    assert len(database.missing_files()) == 1
    database.close()


def test_a_block_of_the_first_version_is_read(folder: Path, clock: VirtualClock) -> None:
    before = select(Database.look(folder, SystemDisk(), clock, logger("tsdb")))
    for path in folder.glob("blocks/*/meta.json"):
        meta = msgspec.json.decode(path.read_bytes())["meta"]
        path.write_bytes(msgspec.json.encode({**meta, "version": 1}))
    assert verify(folder).damages == []
    database = open_database(folder, clock)
    assert select(database) == before
    database.close()


def test_a_missing_file_is_named(folder: Path) -> None:
    for pattern, kind in (("blocks/*/index", "block"), ("head/*.run", "run"), ("head/*.series", "series")):
        path = first(folder, pattern)
        path.unlink()
        assert any(damage.kind == kind and str(path) in damage.text for damage in verify(folder).damages)


def test_a_torn_end_of_the_log_is_no_damage(folder: Path) -> None:
    segment = max(folder.glob("wal/*.segment"))
    segment.write_bytes(segment.read_bytes()[:-3])
    found = verify(folder)
    assert found.damages == []
    assert "are no whole record" in found.notes[0]


def newer_manifest(content: bytes) -> bytes:
    manifest = msgspec.json.decode(content)["manifest"]
    inner = msgspec.json.encode({**manifest, "version": 99})
    return msgspec.json.encode({"crc32": zlib.crc32(inner), "manifest": msgspec.Raw(inner)})


def newer_meta(content: bytes) -> bytes:
    inner = msgspec.json.encode({**msgspec.json.decode(content)["meta"], "version": 99})
    return msgspec.json.encode({"crc32": zlib.crc32(inner), "meta": msgspec.Raw(inner)})


def newer_sections(content: bytes) -> bytes:
    return content[:-12] + struct.pack("<I", 99) + content[-8:]


def newer_series(content: bytes) -> bytes:
    return content[:8] + struct.pack("<I", 99) + content[12:]


def newer_segment(content: bytes) -> bytes:
    named = content[:8] + struct.pack("<I", 99)
    return named + struct.pack("<I", zlib.crc32(named)) + content[16:]


@pytest.mark.parametrize(
    ("pattern", "renew"),
    [
        ("manifest.json", newer_manifest),
        ("blocks/*/meta.json", newer_meta),
        ("blocks/*/index", newer_sections),
        ("blocks/*/chunks", newer_sections),
        ("head/*.run", newer_sections),
        ("head/*.series", newer_series),
        ("wal/*.segment", newer_segment),
    ],
)
def test_a_newer_version_of_any_file_is_refused_by_everybody(
    folder: Path, clock: VirtualClock, pattern: str, renew: Callable[[bytes], bytes]
) -> None:
    path = first(folder, pattern)
    path.write_bytes(renew(path.read_bytes()))
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    message = f"{re.escape(str(path))} has format version 99, this nunchi knows [12]: use a newer one"
    with pytest.raises(NewerVersionError, match=message):
        verify(folder)
    with pytest.raises(NewerVersionError, match=message):
        open_database(folder, clock)
    with pytest.raises(NewerVersionError):
        Database.look(folder, SystemDisk(), clock, logger("tsdb"))
    del before[folder / "lock"]
    for each, content in before.items():
        assert each.read_bytes() == content


def test_what_is_not_ours_is_left_alone_by_everybody(folder: Path, clock: VirtualClock) -> None:
    strangers = [folder / name for name in ("README", "head/notes.txt", "blocks/mine/x", "wal/00000001", "head/1.run")]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    found = verify(folder)
    assert sorted(found.strangers) == sorted(["README", "head/notes.txt", "blocks/mine", "wal/00000001", "head/1.run"])
    assert found.damages == []
    database = open_database(folder, clock)
    database.maintain()
    database.repair(())
    database.close()
    assert all(path.read_text() == "mine" for path in strangers)


def test_leftovers_of_interrupted_work_are_told_from_what_counts(folder: Path) -> None:
    (folder / "head" / "99999999.run").write_bytes(b"cut")
    (folder / "blocks" / "99999998.building").mkdir()
    found = verify(folder)
    assert sorted(found.leftovers) == ["blocks/99999998.building", "head/99999999.run"]
    assert found.damages == []
