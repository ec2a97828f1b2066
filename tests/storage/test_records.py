"""Entities and events that outlive the process, within bounds."""

import sqlite3
from pathlib import Path

import pytest

from nunchi.storage import records as records_module
from nunchi.storage.records import Records, RecordsError
from nunchi.testing.clock import VirtualClock


def opened(path: Path | None = None, clock: VirtualClock | None = None) -> Records:
    records = Records(path, clock or VirtualClock())
    records.open()
    return records


def test_entities_are_there_after_a_restart_and_only_the_owner_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    records = opened(path)
    records.put("agent", "b", b"1")
    records.put("agent", "a", b"2")
    records.put("agent", "b", b"3")
    records.put("other", "b", b"4")
    # not closed: as after a kill
    again = opened(path)
    assert again.entities("agent") == [("a", b"2"), ("b", b"3")]
    assert again.find("other", "b") == b"4"
    assert again.find("other", "x") is None
    assert again.remove("agent", "a")
    assert not again.remove("agent", "a")
    assert path.stat().st_mode & 0o777 == 0o600
    records.close()
    again.close()


def test_entities_and_bodies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "ENTITIES_MAX", 3)
    records = opened()
    for number in range(3):
        records.put("k", str(number), b"")
    records.put("k", "0", b"again")
    records.put("other", "0", b"")
    with pytest.raises(RecordsError, match="3 of k already"):
        records.put("k", "3", b"")
    with pytest.raises(RecordsError, match="bytes are more than"):
        records.put("k", "0", bytes((1 << 20) + 1))


async def test_events_are_kept_by_number_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "EVENTS_MAX", 5)
    clock = VirtualClock()
    records = opened(None, clock)
    for number in range(8):
        records.note("agent", "a" if number % 2 else "b", b"%d" % number)
        await clock.advance(1)
    records.trim()
    assert [event.body for event in records.events("agent")] == [b"7", b"6", b"5", b"4", b"3"]
    assert [event.body for event in records.events("agent", "a")] == [b"7", b"5", b"3"]
    await clock.advance(91 * 24 * 3600.0)
    records.trim()
    assert records.events("agent") == []


async def test_what_has_not_changed_for_long_can_be_removed() -> None:
    clock = VirtualClock()
    records = opened(None, clock)
    records.put("k", "old", b"")
    await clock.advance(10)
    records.put("k", "new", b"")
    assert records.remove_unchanged_since("k", clock.now_ms() - 5000) == 1
    assert records.entities("k") == [("new", b"")]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(RecordsError, match=r"records\.sqlite.*mend or remove"):
        opened(path)


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    opened(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RecordsError, match="has format version 99, this nunchi knows 1: use a newer one"):
        opened(path)
    assert path.read_bytes() == before


def test_opening_what_is_there_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    records = opened(path)
    records.put("agent", "a", b"1")
    log = path.with_name("records.sqlite-wal").read_bytes()
    again = opened(path)
    assert path.with_name("records.sqlite-wal").read_bytes() == log
    assert again.find("agent", "a") == b"1"
