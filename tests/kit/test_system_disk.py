"""`nunchi.kit.system_disk`: what the contract of `nunchi.kit.disk` promises, on real files."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunchi.kit.disk import DiskError, DiskFull, DiskLocked, DiskMissing
from nunchi.kit.system_disk import SystemDisk


@pytest.fixture
def disk() -> SystemDisk:
    return SystemDisk()


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file of this process may grow beyond so many bytes: a disk that is full in the middle of a write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, former)


def test_appends_return_where_they_begin_and_survive_reopening(disk: SystemDisk, tmp_path: Path) -> None:
    file = disk.open_append(tmp_path / "wal")
    assert [file.append(b"one"), file.append(memoryview(b"two")), file.append(b"")] == [0, 3, 6]
    file.sync()
    file.close()
    again = disk.open_append(tmp_path / "wal")
    assert again.size == 6
    assert again.append(b"!") == 6
    again.truncate(2)
    assert again.append(b"x") == 2
    again.close()
    assert disk.read(tmp_path / "wal") == b"onx"
    assert disk.read(tmp_path / "wal", 1, 1) == b"n"


def test_arrays_are_appended_as_their_bytes(disk: SystemDisk, tmp_path: Path) -> None:
    from array import array

    file = disk.open_append(tmp_path / "wal")
    assert file.append(memoryview(array("q", [1, 2]))) == 0
    assert file.size == 16
    file.close()


def test_a_failed_append_leaves_the_file_as_it_was(disk: SystemDisk, tmp_path: Path, small_files: int) -> None:
    file = disk.open_append(tmp_path / "wal")
    file.append(b"a" * 600)
    with pytest.raises(DiskError, match=r"append to .*wal: "):
        file.append(b"b" * 600)
    assert file.size == 600
    assert disk.read(tmp_path / "wal") == b"a" * 600
    assert file.append(b"c") == 600
    file.close()


def test_a_full_disk_is_told_from_other_failures(disk: SystemDisk) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    file = disk.open_append(Path("/dev/full"))
    with pytest.raises(DiskFull, match="free some space"):
        file.append(b"x")
    file.close()


def test_after_a_failed_sync_the_file_refuses_more(
    disk: SystemDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = disk.open_append(tmp_path / "wal")
    file.append(b"x")

    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(DiskError, match="input/output error"):
            file.sync()
    for operation in (file.sync, lambda: file.append(b"y"), lambda: file.truncate(0)):
        with pytest.raises(DiskError, match="an earlier sync failed: go on in another file"):
            operation()
    file.close()


def test_a_closed_file_refuses_more_and_closes_twice(disk: SystemDisk, tmp_path: Path) -> None:
    file = disk.open_append(tmp_path / "wal")
    file.close()
    file.close()
    with pytest.raises(DiskError, match="it is closed"):
        file.append(b"x")


def test_an_atomic_write_replaces_the_whole_file_or_nothing(disk: SystemDisk, tmp_path: Path, small_files: int) -> None:
    path = tmp_path / "meta.json"
    disk.write_atomically(path, b"old")
    disk.write_atomically(path, b"new", mode=0o600)
    assert disk.read(path) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(DiskError):
        disk.write_atomically(path, b"x" * 5000)
    assert disk.read(path) == b"new"
    assert disk.list(tmp_path) == ["meta.json"]


def test_what_is_missing_is_told(disk: SystemDisk, tmp_path: Path) -> None:
    none = tmp_path / "none"
    for operation in (
        lambda: disk.read(none),
        lambda: disk.list(none),
        lambda: disk.map(none),
        lambda: disk.remove(none),
        lambda: disk.rename(none, tmp_path / "other"),
        lambda: disk.open_append(none / "wal"),
        lambda: disk.write_atomically(none / "file", b""),
        lambda: disk.free_bytes(none),
    ):
        with pytest.raises(DiskMissing, match="no such file or directory"):
            operation()
    assert disk.size(none) is None


def test_folders_are_made_listed_renamed_and_removed(disk: SystemDisk, tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "a" / "b")
    disk.make_folder(tmp_path / "a" / "b")
    disk.write_atomically(tmp_path / "a" / "b" / "2", b"xx")
    disk.write_atomically(tmp_path / "a" / "b" / "1", b"")
    assert disk.list(tmp_path / "a" / "b") == ["1", "2"]
    assert disk.size(tmp_path / "a" / "b" / "2") == 2
    disk.rename(tmp_path / "a" / "b", tmp_path / "c")
    assert disk.list(tmp_path) == ["a", "c"]
    disk.remove(tmp_path / "c" / "1")
    disk.remove(tmp_path / "c")
    assert disk.list(tmp_path) == ["a"]
    assert disk.free_bytes(tmp_path) > 0


def test_a_folder_that_cannot_even_be_looked_for_is_a_disk_error(disk: SystemDisk, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="name too long"):
        disk.make_folder(tmp_path / ("x" * 300))


def test_removing_a_link_leaves_what_it_points_to(disk: SystemDisk, tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "real")
    disk.write_atomically(tmp_path / "real" / "file", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    disk.remove(tmp_path / "link")
    assert disk.list(tmp_path / "real") == ["file"]


def test_a_mapped_file_is_memory_until_nobody_looks(disk: SystemDisk, tmp_path: Path) -> None:
    disk.write_atomically(tmp_path / "chunks", b"0123456789")
    mapped = disk.map(tmp_path / "chunks")
    part = mapped.view[2:4]
    assert bytes(part) == b"23"
    assert mapped.view.readonly
    mapped.close()
    assert bytes(part) == b"23"
    disk.write_atomically(tmp_path / "empty", b"")
    empty = disk.map(tmp_path / "empty")
    assert len(empty.view) == 0
    empty.close()


def test_a_lock_is_held_by_one_process_which_it_names(disk: SystemDisk, tmp_path: Path) -> None:
    lock = disk.lock(tmp_path / "lock")
    with pytest.raises(DiskLocked, match=f"in use by process {os.getpid()}: stop it, or use another folder"):
        disk.lock(tmp_path / "lock")
    lock.release()
    lock.release()
    disk.lock(tmp_path / "lock").release()


def test_a_killed_process_holds_no_lock(disk: SystemDisk, tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from nunchi.kit.system_disk import SystemDisk; "
        "lock = SystemDisk().lock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "lock")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DiskLocked, match=f"process {process.pid}"):
            disk.lock(tmp_path / "lock")
        process.kill()
        process.wait()
    disk.lock(tmp_path / "lock").release()


def test_a_child_process_keeps_no_released_lock(disk: SystemDisk, tmp_path: Path) -> None:
    lock = disk.lock(tmp_path / "lock")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        disk.lock(tmp_path / "lock").release()
        child.communicate(b"\n")
    assert child.returncode == 0
