"""Which files of a data folder count: one small file, replaced whole. docs/formats/meta.md has its fields.

Invariant: sealing, compaction and retention take effect when the manifest is replaced, all of it or nothing.
"""

import zlib

import msgspec

from nunchi.kit.disk import Disk, DiskMissing
from nunchi.model.metadata import Metadata
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import MANIFEST_VERSION, RUN_SUFFIX, SERIES_SUFFIX, Folder, check_version, number_of
from nunchi.tsdb.tombstones import Deletion


class RunEntry(msgspec.Struct, frozen=True):
    """A run. `has_late`: some of its samples are older than their series' newest was when they came."""

    number: int
    has_late: bool = False


class Manifest(msgspec.Struct, frozen=True):
    """What there is.

    series, series_bytes  the file of label keys and how much of it counts
    places, newest_ms     all series_refs of sealed samples are below; none of these samples is newer; None: not known
    marks                 what writers noted with what is sealed
    """

    version: int = MANIFEST_VERSION
    next_number: int = 1
    blocks: tuple[int, ...] = ()
    runs: tuple[RunEntry, ...] = ()
    series: int = 0
    series_bytes: int = 0
    places: int = 0
    newest_ms: int | None = None
    first_segment: int = 0
    metadata: dict[str, Metadata] = {}
    marks: dict[str, bytes] = {}
    deletions: tuple[Deletion, ...] = ()


class _Sealed(msgspec.Struct):
    crc32: int
    manifest: msgspec.Raw


def save_manifest(disk: Disk, folder: Folder, manifest: Manifest) -> None:
    """Put a manifest in place; durable on return."""
    content = msgspec.json.encode(manifest)
    disk.write_atomically(folder.manifest, msgspec.json.encode(_Sealed(zlib.crc32(content), msgspec.Raw(content))))


def manifest_of(disk: Disk, folder: Folder) -> Manifest:
    """The manifest; an empty one where nothing was sealed yet. Raises what `load_manifest` raises, and a `CorruptionError`
    where files are there that only a manifest can tell from leftovers.
    """
    manifest = load_manifest(disk, folder)
    if manifest is None and needs_manifest(disk, folder):
        raise CorruptionError(f"{folder.manifest} is missing, and only it says which of the files here count")
    return manifest or Manifest()


def needs_manifest(disk: Disk, folder: Folder) -> bool:
    """Whether there are files of sealed samples. The first of them is written after the first manifest."""
    sealed = ((folder.head, (RUN_SUFFIX, SERIES_SUFFIX)), (folder.blocks, ("",)))
    return any(
        number_of(name, suffix) is not None
        for part, suffixes in sealed
        if disk.size(part) is not None
        for name in disk.list(part)
        for suffix in suffixes
    )


def load_manifest(disk: Disk, folder: Folder) -> Manifest | None:
    """The manifest, None where there is none yet; raises `CorruptionError`, `NewerVersionError`."""
    try:
        content = disk.read(folder.manifest)
    except DiskMissing:
        return None
    try:
        sealed = msgspec.json.decode(content, type=_Sealed)
        if zlib.crc32(bytes(sealed.manifest)) != sealed.crc32:
            raise CorruptionError(f"{folder.manifest} fails its checksum")
        check_version(folder.manifest, int(msgspec.json.decode(sealed.manifest)["version"]), MANIFEST_VERSION)
        return msgspec.json.decode(sealed.manifest, type=Manifest)
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
        raise CorruptionError(f"{folder.manifest} cannot be read: {error}") from None
