"""`verify` and `repair`: what is damaged, what it costs, and doing about it what can be done."""

from collections.abc import Iterator
from pathlib import Path

from nunchi.kit.disk import DiskLocked
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.folder import check_folder, open_to_write
from nunchi.server.data_folder.progress import Progress
from nunchi.server.neighbours import NEIGHBOURS
from nunchi.server.world import World
from nunchi.tsdb.files import Folder
from nunchi.tsdb.repair import rebuild_manifest
from nunchi.tsdb.verification import Damage, Verification, verify_folder

__all__ = ["Damage", "Verification", "cure_of", "repair_path", "verify_path"]


def verify_path(path: Path, world: World, progress: Progress) -> Verification:
    """Check all files of a data folder. Raises `WorldError`, `Interrupted`."""
    folder = check_folder(path)
    progress.begin("verifying", sum(_sizes(world, folder)))
    return verify_folder(world.disk, folder, lambda _, size: progress.advance(size), NEIGHBOURS)


def _sizes(world: World, folder: Folder) -> Iterator[int]:
    for part in (folder.head, folder.wal, folder.blocks):
        if part.is_dir():
            yield from (world.disk.size(path) or 0 for path in part.rglob("*") if path.is_file())


def cure_of(damage: Damage) -> str:
    """What `repair` does about a damage."""
    match damage.kind:
        case "manifest":
            return (
                "put together anew from the files; deletions and metadata are forgotten, deleted samples may come back"
            )
        case "wal":
            return "read around; the segment is kept aside"
        case "series":
            return "the labels that are known are written anew; samples without labels are left out"
        case kind if damage.is_partial:
            return f"the {kind} is written anew without what cannot be read; a copy is kept aside"
        case kind:
            return f"the {kind} is set aside"


def repair_path(path: Path, world: World, progress: Progress, found: Verification) -> list[str]:
    """Repair what a verification found; says what was done. Raises `WorldError`."""
    folder = check_folder(path)
    done = []
    if any(damage.kind == "manifest" for damage in found.damages):
        _refuse_beside_a_writer(path, folder, world)
        manifest = rebuild_manifest(world.disk, folder)
        done.append(f"{folder.manifest} lists {len(manifest.blocks)} blocks and {len(manifest.runs)} runs now")
    progress.begin("repairing", 0)
    with open_to_write(path, world) as database:
        return [*done, *database.repair(found.damages)]


def _refuse_beside_a_writer(path: Path, folder: Folder, world: World) -> None:
    try:
        world.disk.lock(folder.lock).release()
    except DiskLocked as error:
        raise UnfitFolder(f"{path}: {error.reason}") from error
