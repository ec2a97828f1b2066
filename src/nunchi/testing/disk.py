"""A disk in memory that fails as real ones do. Implements `nunchi.kit.disk.Disk`.

The fault model
    power loss   what was not synced may be there, in part (a file keeps a prefix of what was appended since its last sync, its
                 end possibly torn within a record and possibly garbage), or not at all.
                 What `sync`, `write_atomically`, `rename` and `make_folder` returned from is there, whole.
    full         from a chosen number of bytes on, appends fail with `DiskFull` and leave the file as it was; it ends when the
                 operator makes room. An append may instead leave a part behind; then that file refuses everything after.
    failed sync  `sync` raises once; what was unsynced may be lost although later syncs of other files succeed; the file refuses
                 to be used any more.
    bit flip     any byte at rest may change while nobody looks.
What does not happen: writes to one file out of order, a sync that lies, content that moves between files.

Invariant: chance comes from the `Random` given; equal seeds fail equally.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from nunchi.kit.disk import Bytes, DiskError, DiskFull, DiskLocked, DiskMissing

GARBAGE_BYTES_MAX = 64
UNBOUNDED = 1 << 62


class Crash(Exception):  # noqa: N818 - what it is
    """The machine stops here: nothing that runs afterwards may touch the disk before `FaultyDisk.restart`."""


class StoredFile:
    """Content, and how much of it would survive."""

    __slots__ = ("content", "synced")

    def __init__(self, content: bytes = b"", synced: int = 0) -> None:
        self.content = bytearray(content)
        self.synced = synced


class FaultyAppendFile:
    """See `AppendFile`."""

    def __init__(self, disk: "FaultyDisk", path: Path, stored: StoredFile) -> None:
        self.path = path
        self._disk = disk
        self._stored = stored
        self._broken = ""
        self._life = disk.life

    @property
    def size(self) -> int:
        """See `AppendFile.size`."""
        return len(self._stored.content)

    def append(self, content: Bytes) -> int:
        """See `AppendFile.append`."""
        self._check("append to")
        disk, start, data = self._disk, self.size, bytes(content)
        room = disk.room()
        if len(data) > room:
            if disk.random.random() < disk.partial_append_share:
                self._stored.content += data[: disk.random.randint(0, room)]
                self._broken = "an earlier append left a part behind"
            raise DiskFull("append to", self.path, "no space left on device; free some space")
        disk.step(lambda: self._stored.content.extend(data[: disk.random.randint(0, len(data))]))
        self._stored.content += data
        return start

    def sync(self) -> None:
        """See `AppendFile.sync`."""
        self._check("sync")
        if self._disk.take_failing_sync():
            self._broken = "an earlier sync failed"
            lost = self._disk.random.randint(self._stored.synced, self.size)
            self._disk.doomed.append((self._stored, lost))
            raise DiskError("sync", self.path, "input/output error")
        self._disk.step(lambda: None)
        self._stored.synced = self.size

    def begin_sync(self) -> Callable[[], None]:
        """See `AppendFile.begin_sync`: what is appended before the call is made counts, too."""
        self._check("sync")
        return self.sync

    def truncate(self, size: int) -> None:
        """See `AppendFile.truncate`."""
        self._check("truncate")
        self._disk.step(lambda: None)
        del self._stored.content[size:]
        self._stored.synced = min(self._stored.synced, size)

    def close(self) -> None:
        """See `AppendFile.close`."""
        self._broken = self._broken or "it is closed"

    def _check(self, operation: str) -> None:
        self._disk.check_life(self._life)
        if self._broken:
            raise DiskError(operation, self.path, f"{self._broken}: go on in another file")


class FaultyMappedFile:
    """See `MappedFile`; keeps what was there when it was mapped."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.view = memoryview(content)

    def close(self) -> None:
        """See `MappedFile.close`."""


class FaultyLock:
    """See `DiskLock`."""

    def __init__(self, disk: "FaultyDisk", path: Path) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        """See `DiskLock.release`."""
        self._disk.locks.discard(self._path)


class FaultyDisk:
    """Files in memory. `crash_in` counts changes until the power goes; `fail_syncs` says how many of the next syncs fail."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.files: dict[Path, StoredFile] = {}
        self.folders: set[Path] = {Path("/")}
        self.locks: set[Path] = set()
        self.doomed: list[tuple[StoredFile, int]] = []
        self.bytes_max = UNBOUNDED
        self.partial_append_share = 0.0
        self.crash_in = UNBOUNDED
        self.fail_syncs = 0
        self.life = 0

    def room(self) -> int:
        """Bytes left."""
        return max(0, self.bytes_max - sum(len(stored.content) for stored in self.files.values()))

    def step(self, partly: object) -> None:
        """One change is about to happen; the power may go in the middle of it."""
        self.crash_in -= 1
        if self.crash_in < 0:
            if callable(partly):
                partly()
            raise Crash

    def check_life(self, life: int) -> None:
        """What was opened before a crash is gone."""
        if life != self.life or self.crash_in < 0:
            raise Crash

    def take_failing_sync(self) -> bool:
        """Whether this sync is one of those that fail."""
        if self.fail_syncs <= 0:
            return False
        self.fail_syncs -= 1
        return True

    def restart(self, *, power_lost: bool) -> None:
        """Start the machine, or after `kill -9` only the process, again."""
        if power_lost:
            for stored, lost in self.doomed:
                del stored.content[max(lost, 0) :]
            for stored in self.files.values():
                self._lose_unsynced(stored)
        self.doomed.clear()
        self.locks.clear()
        self.crash_in, self.fail_syncs = UNBOUNDED, 0
        self.life += 1

    def _lose_unsynced(self, stored: StoredFile) -> None:
        kept = self.random.randint(min(stored.synced, len(stored.content)), len(stored.content))
        torn = len(stored.content) - kept
        del stored.content[kept:]
        if torn and self.random.random() < 0.5:
            stored.content += self.random.randbytes(self.random.randint(0, min(torn, GARBAGE_BYTES_MAX)))
        stored.synced = len(stored.content)

    def flip_bit(self, path: Path) -> None:
        """Change one bit of a file."""
        content = self.files[path].content
        content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)

    def open_append(self, path: Path) -> FaultyAppendFile:
        """See `Disk.open_append`."""
        self.check_life(self.life)
        if path.parent not in self.folders:
            raise DiskMissing("open", path, "no such file or directory")
        stored = self.files.get(path)
        if stored is None:
            self.step(None)
            stored = self.files[path] = StoredFile()
        return FaultyAppendFile(self, path, stored)

    def map(self, path: Path) -> FaultyMappedFile:
        """See `Disk.map`."""
        return FaultyMappedFile(path, bytes(self._stored("map", path).content))

    def read(self, path: Path, offset: int = 0, bytes_max: int | None = None) -> bytes:
        """See `Disk.read`."""
        content = self._stored("read", path).content
        return bytes(content[offset:] if bytes_max is None else content[offset : offset + bytes_max])

    def write_atomically(self, path: Path, content: Bytes, mode: int = 0) -> None:
        """See `Disk.write_atomically`."""
        self.check_life(self.life)
        if len(bytes(content)) > self.room():
            raise DiskFull("write", path, "no space left on device; free some space")
        self.step(None)
        self.files[path] = StoredFile(bytes(content), len(bytes(content)))

    def rename(self, source: Path, target: Path) -> None:
        """See `Disk.rename`."""
        self.check_life(self.life)
        self.step(None)
        if source in self.files:
            self.files[target] = self.files.pop(source)
            return
        if source not in self.folders:
            raise DiskMissing("rename", source, "no such file or directory")
        for path in [path for path in self.files if source in path.parents]:
            self.files[target / path.relative_to(source)] = self.files.pop(path)
        for path in [path for path in self.folders if path == source or source in path.parents]:
            self.folders.discard(path)
            self.folders.add(target / path.relative_to(source))

    def remove(self, path: Path) -> None:
        """See `Disk.remove`; of a folder some files may be left when the power goes."""
        self.check_life(self.life)
        if path in self.files:
            self.step(None)
            del self.files[path]
            return
        if path not in self.folders:
            raise DiskMissing("remove", path, "no such file or directory")
        for inside in sorted(inside for inside in self.files if path in inside.parents):
            self.step(None)
            del self.files[inside]
        self.step(None)
        self.folders = {folder for folder in self.folders if folder != path and path not in folder.parents}

    def make_folder(self, path: Path) -> None:
        """See `Disk.make_folder`."""
        self.check_life(self.life)
        self.folders.update((path, *path.parents))

    def list(self, path: Path) -> list[str]:
        """See `Disk.list`."""
        if path not in self.folders:
            raise DiskMissing("list", path, "no such file or directory")
        return sorted({self._name_below(path, inside) for inside in self._inside(path)})

    def _inside(self, path: Path) -> Iterator[Path]:
        yield from (inside for inside in (*self.files, *self.folders) if path in inside.parents)

    @staticmethod
    def _name_below(path: Path, inside: Path) -> str:
        return inside.relative_to(path).parts[0]

    def size(self, path: Path) -> int | None:
        """See `Disk.size`."""
        if path in self.folders:
            return 0
        stored = self.files.get(path)
        return None if stored is None else len(stored.content)

    def free_bytes(self, path: Path) -> int:
        """See `Disk.free_bytes`."""
        del path
        return self.room()

    def lock(self, path: Path) -> FaultyLock:
        """See `Disk.lock`."""
        if path in self.locks:
            raise DiskLocked("lock", path, "in use by process 1: stop it, or use another folder")
        self.locks.add(path)
        return FaultyLock(self, path)

    def _stored(self, operation: str, path: Path) -> StoredFile:
        self.check_life(self.life)
        stored = self.files.get(path)
        if stored is None:
            raise DiskMissing(operation, path, "no such file or directory")
        return stored
