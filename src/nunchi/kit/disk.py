"""Files, as a database and a spool need them: the contract and its failures. `system_disk` has the real one.

WorldError
└── DiskError          an operation on a path failed; says which, where and why
    ├── DiskFull       no space, or the quota is used up
    ├── DiskMissing    there is no such file or folder
    └── DiskLocked     another process holds the lock

Invariant: what `sync` or `write_atomically` returned from survives a crash; after a failed `sync` a file refuses to be used any
more, because the kernel may have thrown away what it could not write.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nunchi.kit.errors import WorldError

FILE_MODE = 0o640
Bytes = bytes | bytearray | memoryview


class DiskError(WorldError):
    """A failed operation."""

    def __init__(self, operation: str, path: Path, reason: str) -> None:
        super().__init__(f"{operation} {path}: {reason}")
        self.operation = operation
        self.path = path
        self.reason = reason


class DiskFull(DiskError):  # noqa: N818 - reads as what it says
    """No space left; whoever can delete or wait should."""


class DiskMissing(DiskError):  # noqa: N818 - reads as what it says
    """Not there."""


class DiskLocked(DiskError):  # noqa: N818 - reads as what it says
    """Held by another process."""


class AppendFile(Protocol):
    """A file that only grows at its end. Not for several threads at once."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes in the file."""
        ...

    def append(self, content: Bytes) -> int:
        """Write all of `content`, return where it begins. If that fails, the file is as long as before, or refuses more."""
        ...

    def sync(self) -> None:
        """Return when everything appended would survive a crash of the machine."""
        ...

    def begin_sync(self) -> Callable[[], None]:
        """`sync` of what was appended so far, as a call for another thread; meanwhile the file may be used and closed."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def close(self) -> None:
        """Give the file back; not a `sync`."""
        ...


class MappedFile(Protocol):
    """A whole file as memory, read only."""

    path: Path
    view: memoryview

    def close(self) -> None:
        """Give the memory back once nobody looks at a slice of it any more."""
        ...


class DiskLock(Protocol):
    """A held lock."""

    def release(self) -> None:
        """Let others have it."""
        ...


class Disk(Protocol):
    """What may be done to files. All paths are whole; every method raises DiskError."""

    def open_append(self, path: Path) -> AppendFile:
        """Open for appending, making the file if it is not there."""
        ...

    def map(self, path: Path) -> MappedFile:
        """Map a file that nobody cuts while it is mapped."""
        ...

    def read(self, path: Path, offset: int = 0, bytes_max: int | None = None) -> bytes:
        """The content from `offset` on, to the end or at most `bytes_max`."""
        ...

    def write_atomically(self, path: Path, content: Bytes, mode: int = FILE_MODE) -> None:
        """Put `content` in place of a file: a reader, also after a crash, sees the old or the new, whole."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Move a file or folder within a file system, replacing a file; durable on return."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all that is in it."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it, if they are not there; durable on return."""
        ...

    def list(self, path: Path) -> list[str]:
        """The names in a folder, sorted."""
        ...

    def size(self, path: Path) -> int | None:
        """Bytes in a file, None if there is none."""
        ...

    def free_bytes(self, path: Path) -> int:
        """What the file system of `path` has left for us."""
        ...

    def lock(self, path: Path) -> DiskLock:
        """Hold a lock file for as long as this process wants it or lives; the file says who. Raises DiskLocked."""
        ...
