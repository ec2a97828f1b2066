"""Every name in a data folder and every format version, in one place. docs/formats/ has the bytes.

    lock                     held by the one process that writes
    manifest.json            which of all that is below counts; replaced whole, so that a change happens or does not
    wal/00000001.segment     appends that are not sealed yet
    head/00000001.series     label keys of the head's series, appended to
    head/00000001.run        sealed samples of the head
    blocks/00000001/         an immutable time range: meta.json, index, chunks
    damaged/                 what could not be read, kept aside

Numbers only grow. What is not named like this is not ours and is left alone.
"""

import re
from pathlib import Path

from nunchi.tsdb.errors import NewerVersionError, OlderVersionError

MANIFEST_VERSION = 1
SECTIONS_VERSION = 2
SERIES_VERSION = 1
WAL_VERSION = 2
META_VERSION = 2

LOCK = "lock"
MANIFEST = "manifest.json"
WAL_FOLDER = "wal"
HEAD_FOLDER = "head"
BLOCKS_FOLDER = "blocks"
DAMAGED_FOLDER = "damaged"
SNAPSHOTS_FOLDER = "snapshots"

SEGMENT_SUFFIX = ".segment"
SERIES_SUFFIX = ".series"
RUN_SUFFIX = ".run"
BUILDING_SUFFIX = ".building"

META = "meta.json"
INDEX = "index"
CHUNKS = "chunks"

_NUMBERED = re.compile(r"(\d{8,})(\.[a-z]+)?")


class Folder:
    """The paths of one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = root / LOCK
        self.manifest = root / MANIFEST
        self.wal = root / WAL_FOLDER
        self.head = root / HEAD_FOLDER
        self.blocks = root / BLOCKS_FOLDER
        self.damaged = root / DAMAGED_FOLDER
        self.snapshots = root / SNAPSHOTS_FOLDER

    def segment(self, number: int) -> Path:
        """A segment of the WAL."""
        return self.wal / f"{number:08}{SEGMENT_SUFFIX}"

    def series(self, number: int) -> Path:
        """A file of label keys."""
        return self.head / f"{number:08}{SERIES_SUFFIX}"

    def run(self, number: int) -> Path:
        """A run."""
        return self.head / f"{number:08}{RUN_SUFFIX}"

    def block(self, number: int) -> Path:
        """A block's folder."""
        return self.blocks / f"{number:08}"

    def building(self, number: int) -> Path:
        """Where a block is put together before it gets its name."""
        return self.blocks / f"{number:08}{BUILDING_SUFFIX}"


def number_of(name: str, suffix: str = "") -> int | None:
    """The number in a name of ours with this suffix, None for other names."""
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found and (found[2] or "") == suffix else None


def check_version(path: Path, found: int, known: int, oldest: int = 1) -> None:
    """Refuse what a newer program wrote, and what is too old."""
    if found > known:
        raise NewerVersionError(f"{path} has format version {found}, this nunchi knows {known}: use a newer one")
    if found < oldest:
        raise OlderVersionError(
            f"{path} has format version {found}, this nunchi reads {oldest} to {known}: start and stop the nunchi that wrote "
            "it once more, so that its log is sealed"
        )
