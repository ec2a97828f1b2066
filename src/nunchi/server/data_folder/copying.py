"""`snapshot`: a copy of a data folder that can be opened as one, made beside a running server or without one.

Everything acknowledged before the copy began is in it. Invariant: a folder called as the target is whole; until it is, it is
called otherwise.
"""

from collections.abc import Iterator
from pathlib import Path

from nunchi.kit.disk import Disk, DiskMissing
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.folder import check_folder
from nunchi.server.data_folder.progress import Progress
from nunchi.server.world import World
from nunchi.tsdb.errors import DatabaseError
from nunchi.tsdb.files import CHUNKS, INDEX, META, SEGMENT_SUFFIX, Folder, number_of
from nunchi.tsdb.manifest import Manifest, manifest_of, save_manifest

ATTEMPTS_MAX = 5
COPY_BYTES = 8 << 20
UNFINISHED = ".unfinished"


def snapshot_folder(path: Path, target: Path, world: World, progress: Progress) -> int:
    """Copy a data folder; returns its bytes. Raises `WorldError`, `Interrupted`, and then there is no target."""
    source, disk = check_folder(path), world.disk
    target = target.absolute()
    if target.exists():
        raise UnfitFolder(f"{target} exists already: name a folder that does not")
    if source.root in target.parents and source.snapshots not in target.parents:
        raise UnfitFolder(f"{target} lies inside {path}: name a folder outside of it, or below its snapshots")
    unfinished = Folder(target.with_name(target.name + UNFINISHED))
    if disk.size(unfinished.root) is not None:
        disk.remove(unfinished.root)
    try:
        for part in (unfinished.root, unfinished.wal, unfinished.head, unfinished.blocks):
            disk.make_folder(part)
        copied = _copy_settled(disk, source, unfinished, progress)
        disk.rename(unfinished.root, target)
    except BaseException:
        if disk.size(unfinished.root) is not None:
            disk.remove(unfinished.root)
        raise
    return copied


def _copy_settled(disk: Disk, source: Folder, target: Folder, progress: Progress) -> int:
    """Copy until the manifest was the same before and after, so that the copy is of one moment."""
    done: dict[Path, int] = {}
    for _ in range(ATTEMPTS_MAX):
        manifest = manifest_of(disk, source)
        try:
            parts = list(_parts(disk, source, manifest))
            progress.begin("copying", sum(size for _, size in parts))
            for part, size in parts:
                if part.suffix == SEGMENT_SUFFIX or done.get(part, -1) != size:
                    _copy(disk, part, target.root / part.relative_to(source.root), size, progress)
                    done[part] = size
                else:
                    progress.advance(size)
        except DiskMissing:
            if manifest_of(disk, source) == manifest:
                raise
            continue
        if manifest_of(disk, source) == manifest:
            kept = {part for part, _ in parts}
            for stale in set(done) - kept:
                disk.remove(target.root / stale.relative_to(source.root))
            save_manifest(disk, target, manifest)
            return sum(size for _, size in parts)
    raise DatabaseError(f"{source.root} changes faster than it can be copied: try again")


def _parts(disk: Disk, source: Folder, manifest: Manifest) -> Iterator[tuple[Path, int]]:
    """Every file that counts and how much of it; the log last, so that it has all that came meanwhile."""
    for number in manifest.blocks:
        for name in (META, INDEX, CHUNKS):
            yield _sized(disk, source.block(number) / name)
    for entry in manifest.runs:
        yield _sized(disk, source.run(entry.number))
    if manifest.series:
        yield source.series(manifest.series), manifest.series_bytes
    for name in disk.list(source.wal):
        segment = number_of(name, SEGMENT_SUFFIX)
        if segment is not None and segment >= manifest.first_segment:
            yield _sized(disk, source.wal / name)


def _sized(disk: Disk, path: Path) -> tuple[Path, int]:
    size = disk.size(path)
    if size is None:
        raise DiskMissing("copy", path, "it is missing: `nunchi tsdb verify` tells what is lost")
    return path, size


def _copy(disk: Disk, source: Path, target: Path, size: int, progress: Progress) -> None:
    disk.make_folder(target.parent)
    file = disk.open_append(target)
    try:
        file.truncate(0)
        at = 0
        while at < size:
            piece = disk.read(source, at, min(COPY_BYTES, size - at))
            if not piece:
                break
            file.append(piece)
            at += len(piece)
            progress.advance(len(piece))
        file.sync()
    finally:
        file.close()
