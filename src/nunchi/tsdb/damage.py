"""What is found damaged in a data folder: it is named, counted and kept aside."""

from pathlib import Path

import numpy as np

from nunchi.kit.disk import DiskError
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.files import CHUNKS, INDEX, META
from nunchi.tsdb.state import State


def name_loss(state: State, file: str, text: str, error: Exception) -> None:
    """Say and count that something cannot be read."""
    state.telemetry.corruptions.add(1, file)
    state.log.error(text, error=error)


def without_damage(state: State, file: ChunksFile) -> ChunksFile:
    """The file without the columns of pages that cannot be read, which are named and kept aside; itself where all can be."""
    damaged = file.damaged()
    if not damaged:
        return file
    for columns, error in damaged:
        samples = file.samples_of(columns)
        name_loss(state, "page", f"a page is damaged, {samples} samples of {len(columns)} columns are dropped", error)
    keep_aside(state, file.path)
    return file.without(np.unique(np.concatenate([columns for columns, _ in damaged])))


def keep_aside(state: State, path: Path) -> None:
    """A copy of what is damaged, which outlives the removal of the original; a second one is not made."""
    disk, folder = state.disk, state.folder.damaged
    if state.only_looks:
        return
    try:
        disk.make_folder(folder)
        sources = [path] if disk.size(path / META) is None else [path / name for name in (META, INDEX, CHUNKS)]
        for source in sources:
            target = folder / "-".join(source.relative_to(state.folder.root).parts)
            if disk.size(target) is None:
                disk.write_atomically(target, disk.read(source))
    except DiskError as error:
        state.log.warning("damaged file not kept aside", error=error)
