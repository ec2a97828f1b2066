"""Files in memory that fail on purpose: full, refusing, torn by a crash, rotten. Implements what a spool uses of `Disk`."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from nunchi.kit.disk import DiskError, DiskFull, DiskLocked, DiskMissing


class FaultyDisk:
    """`room` bytes may still be written; operations in `failing` fail. `crash` takes what was not synced, or a part."""

    def __init__(self) -> None:
        self.files: dict[Path, bytearray] = {}
        self.synced: dict[Path, int] = {}
        self.locked: set[Path] = set()
        self.room = 1 << 40
        self.failing: set[str] = set()

    def check(self, operation: str, path: Path) -> None:
        if operation in self.failing:
            raise DiskError(operation, path, "it fails on purpose")

    def kill(self) -> None:
        """The process ends: its locks are free, the files as they are."""
        self.locked.clear()

    def crash(self, chance: Random) -> None:
        """The machine ends: of what was not synced, a beginning is left, perhaps with rubbish for its end."""
        self.kill()
        for path, content in self.files.items():
            synced = min(self.synced.get(path, 0), len(content))
            left = chance.randint(synced, len(content))
            del content[left:]
            if left > synced and chance.random() < 0.3:
                spoilt = chance.randint(synced, left - 1)
                content[spoilt:] = bytes(left - spoilt)

    # `Disk`

    def open_append(self, path: Path) -> "FaultyFile":
        self.check("open", path)
        self.files.setdefault(path, bytearray())
        return FaultyFile(self, path)

    def read(self, path: Path, offset: int = 0, bytes_max: int | None = None) -> bytes:
        self.check("read", path)
        if path not in self.files:
            raise DiskMissing("read", path, "no such file")
        end = None if bytes_max is None else offset + bytes_max
        return bytes(self.files[path][offset:end])

    def remove(self, path: Path) -> None:
        self.check("remove", path)
        if self.files.pop(path, None) is None:
            raise DiskMissing("remove", path, "no such file")
        self.synced.pop(path, None)

    def make_folder(self, path: Path) -> None:
        self.check("make", path)

    def list(self, path: Path) -> list[str]:
        self.check("list", path)
        return sorted(one.name for one in self.files if one.parent == path)

    def size(self, path: Path) -> int | None:
        return len(self.files[path]) if path in self.files else None

    def lock(self, path: Path) -> "FaultyLock":
        self.check("lock", path)
        if path in self.locked:
            raise DiskLocked("lock", path, "in use")
        self.locked.add(path)
        return FaultyLock(self, path)


class FaultyLock:
    def __init__(self, disk: FaultyDisk, path: Path) -> None:
        self.disk, self.path = disk, path

    def release(self) -> None:
        self.disk.locked.discard(self.path)


class FaultyFile:
    def __init__(self, disk: FaultyDisk, path: Path) -> None:
        self.disk, self.path = disk, path

    @property
    def size(self) -> int:
        return len(self.disk.files[self.path])

    def append(self, content: bytes) -> int:
        self.disk.check("append", self.path)
        if len(content) > self.disk.room:
            raise DiskFull("append to", self.path, "no space left")
        self.disk.room -= len(content)
        start = self.size
        self.disk.files[self.path] += content
        return start

    def sync(self) -> None:
        self.disk.check("sync", self.path)
        self.disk.synced[self.path] = self.size

    def begin_sync(self) -> Callable[[], None]:
        size = self.size

        def sync() -> None:
            self.disk.check("sync", self.path)
            self.disk.synced[self.path] = max(self.disk.synced.get(self.path, 0), size)

        return sync

    def truncate(self, size: int) -> None:
        self.disk.check("truncate", self.path)
        del self.disk.files[self.path][size:]
        self.disk.synced[self.path] = min(self.disk.synced.get(self.path, 0), size)

    def close(self) -> None:
        pass
