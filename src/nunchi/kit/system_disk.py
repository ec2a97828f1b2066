"""The operating system's files, by the contract of `nunchi.kit.disk`.

A new name is durable once its folder is synced, content once its file is; both are done wherever the contract says so.
Invariant: every OSError becomes a DiskError here, with operation and path.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from nunchi.kit.disk import (
    FILE_MODE,
    AppendFile,
    Bytes,
    DiskError,
    DiskFull,
    DiskLock,
    DiskLocked,
    DiskMissing,
    MappedFile,
)

FOLDER_MODE = 0o750
TEMPORARY_SUFFIX = ".tmp"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def _failing_as_disk_error(operation: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _disk_error(error, operation, path) from error


def _disk_error(error: OSError, operation: str, path: Path) -> DiskError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return DiskFull(operation, path, f"{reason}; free some space")
    kind = DiskMissing if isinstance(error, FileNotFoundError) else DiskError
    return kind(operation, path, reason)


class SystemAppendFile:
    """See `AppendFile`."""

    def __init__(self, path: Path) -> None:
        with _failing_as_disk_error("open", path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            self._size = os.fstat(self._descriptor).st_size
        self.path = path
        self._broken = ""

    @property
    def size(self) -> int:
        """See `AppendFile.size`."""
        return self._size

    def append(self, content: Bytes) -> int:
        """See `AppendFile.append`."""
        self._refuse_if_broken("append to")
        start = self._size
        remaining = memoryview(content).cast("B")
        size = start + len(remaining)
        try:  # not by the context manager: this is on the way of every commit
            while remaining:
                remaining = remaining[os.write(self._descriptor, remaining) :]
        except OSError as error:
            self._take_back(start)
            raise _disk_error(error, "append to", self.path) from error
        self._size = size
        return start

    def sync(self) -> None:
        """See `AppendFile.sync`."""
        self._refuse_if_broken("sync")
        with _failing_as_disk_error("sync", self.path):
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._broken = "an earlier sync failed"
                raise

    def begin_sync(self) -> Callable[[], None]:
        """See `AppendFile.begin_sync`: the call has a descriptor of its own, which it closes."""
        self._refuse_if_broken("sync")
        with _failing_as_disk_error("sync", self.path):
            descriptor = os.dup(self._descriptor)

        def sync() -> None:
            with _failing_as_disk_error("sync", self.path):
                try:
                    os.fdatasync(descriptor)
                except OSError:
                    self._broken = self._broken or "an earlier sync failed"
                    raise
                finally:
                    os.close(descriptor)

        return sync

    def truncate(self, size: int) -> None:
        """See `AppendFile.truncate`."""
        self._refuse_if_broken("truncate")
        with _failing_as_disk_error("truncate", self.path):
            os.ftruncate(self._descriptor, size)
            self._size = size

    def close(self) -> None:
        """See `AppendFile.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        self._broken = self._broken or "it is closed"
        if descriptor >= 0:
            with _failing_as_disk_error("close", self.path):
                os.close(descriptor)

    def _take_back(self, size: int) -> None:
        try:
            os.ftruncate(self._descriptor, size)
        except OSError:
            self._broken = "an earlier append left a part behind"

    def _refuse_if_broken(self, operation: str) -> None:
        if self._broken:
            raise DiskError(operation, self.path, f"{self._broken}: go on in another file")


class SystemMappedFile:
    """See `MappedFile`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        with _failing_as_disk_error("map", path), path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > 0:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self._map if self._map is not None else b"")

    def close(self) -> None:
        """See `MappedFile.close`; slices that are still looked at keep the memory until they are gone."""
        with contextlib.suppress(BufferError):
            self.view.release()
            if self._map is not None:
                self._map.close()


class SystemLock:
    """See `DiskLock`."""

    def __init__(self, path: Path) -> None:
        with _failing_as_disk_error("lock", path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                os.close(self._descriptor)
                cure = f"in use by process {owner}: stop it, or use another folder"
                raise DiskLocked("lock", path, cure) from error
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """See `DiskLock.release`; the file stays, because removing it would let two processes hold two files of one name."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            # Closing is not enough while a child that is just being made shares the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


class SystemDisk:
    """The operating system's files. See `Disk` for what each method does."""

    def open_append(self, path: Path) -> AppendFile:
        """See `Disk.open_append`."""
        is_new = not path.exists()
        file = SystemAppendFile(path)
        if is_new:
            self._sync_folder(path.parent)
        return file

    def map(self, path: Path) -> MappedFile:
        """See `Disk.map`."""
        return SystemMappedFile(path)

    def read(self, path: Path, offset: int = 0, bytes_max: int | None = None) -> bytes:
        """See `Disk.read`."""
        with _failing_as_disk_error("read", path), path.open("rb") as file:
            file.seek(offset)
            return file.read(-1 if bytes_max is None else bytes_max)

    def write_atomically(self, path: Path, content: Bytes, mode: int = FILE_MODE) -> None:
        """See `Disk.write_atomically`."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
        try:
            with _failing_as_disk_error("write", path):
                self._write_whole(temporary, content, mode)
                temporary.replace(path)
        except DiskError:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder(path.parent)

    def rename(self, source: Path, target: Path) -> None:
        """See `Disk.rename`."""
        with _failing_as_disk_error("rename", source):
            source.replace(target)
        self._sync_folder(target.parent)
        if source.parent != target.parent:
            self._sync_folder(source.parent)

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        with _failing_as_disk_error("remove", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def make_folder(self, path: Path) -> None:
        """See `Disk.make_folder`."""
        with _failing_as_disk_error("make", path):
            try:
                missing = [folder for folder in (path, *path.parents) if not folder.exists()]
                path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            except (PermissionError, FileNotFoundError, NotADirectoryError, FileExistsError) as error:
                cure = "name another folder, or let this user write there"
                raise DiskError("make the folder", path, f"{(error.strerror or '').lower()}; {cure}") from error
        for folder in missing:
            self._sync_folder(folder.parent)

    def list(self, path: Path) -> list[str]:
        """See `Disk.list`."""
        with _failing_as_disk_error("list", path):
            return sorted(entry.name for entry in path.iterdir())

    def size(self, path: Path) -> int | None:
        """See `Disk.size`."""
        try:
            with _failing_as_disk_error("look at", path):
                return path.stat().st_size
        except DiskMissing:
            return None

    def free_bytes(self, path: Path) -> int:
        """See `Disk.free_bytes`."""
        with _failing_as_disk_error("look at", path):
            return shutil.disk_usage(path).free

    def lock(self, path: Path) -> DiskLock:
        """See `Disk.lock`."""
        return SystemLock(path)

    @staticmethod
    def _write_whole(path: Path, content: Bytes, mode: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            remaining = memoryview(content).cast("B")
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _sync_folder(path: Path) -> None:
        with _failing_as_disk_error("sync", path):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
