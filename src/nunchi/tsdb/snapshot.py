"""A consistent copy of a data folder, made while the database runs; the copy can be opened as a data folder itself.

Samples are in its sealed files; its log has what no sealed file has, exemplars.
"""

from pathlib import Path

from nunchi.kit.disk import Disk
from nunchi.tsdb.files import CHUNKS, INDEX, META, Folder
from nunchi.tsdb.manifest import save_manifest
from nunchi.tsdb.sealing import log_exemplars, seal
from nunchi.tsdb.state import State
from nunchi.tsdb.wal import Wal

COPY_BYTES = 8 << 20


def make_snapshot(state: State, name: str) -> Path:
    """Seal what is open, then copy every file that counts to `snapshots/<name>`; raises `WorldError` and leaves nothing."""
    seal(state)
    source, disk = state.folder, state.disk
    target = Folder(source.snapshots / name)
    manifest, sealed = state.manifest, state.sealed
    try:
        for part in (target.root, target.wal, target.head, target.blocks):
            disk.make_folder(part)
        for block in sealed.blocks:
            folder = target.block(block.meta.number)
            disk.make_folder(folder)
            for file in (META, INDEX, CHUNKS):
                _copy(disk, block.folder / file, folder / file)
        for run in sealed.runs:
            _copy(disk, run.path, target.run(run.number))
        if manifest.series:
            _copy(disk, source.series(manifest.series), target.series(manifest.series))
        _write_exemplars(state, target, manifest.first_segment)
        save_manifest(disk, target, manifest)
    except BaseException:
        disk.remove(target.root)
        raise
    return target.root


def _write_exemplars(state: State, target: Folder, first_segment: int) -> None:
    wal = Wal(state.disk, target, sync_always=False, compressed=state.settings.wal_compressed)
    wal.open(first_segment)
    with state.lock:
        log_exemplars(state, wal)
    wal.close()


def _copy(disk: Disk, source: Path, target: Path) -> None:
    file = disk.open_append(target)
    try:
        at = 0
        while piece := disk.read(source, at, COPY_BYTES):
            file.append(piece)
            at += len(piece)
        file.sync()
    finally:
        file.close()
