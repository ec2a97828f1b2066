"""Making a damaged data folder whole again: what is readable stays, what is not is set aside in `damaged/` and forgotten.

A lost manifest is put together anew from the files (`rebuild_manifest`, before the database opens); everything else is done by
an open database (`repair`), which has replayed its log by then. Invariant: what is removed was copied or moved first.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk, DiskMissing
from nunchi.tsdb.block import Block, load_meta
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.compaction import replace_blocks
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import CHUNKS, RUN_SUFFIX, SEGMENT_SUFFIX, SERIES_SUFFIX, Folder, number_of
from nunchi.tsdb.manifest import Manifest, RunEntry, save_manifest
from nunchi.tsdb.querier import View
from nunchi.tsdb.sealing import entry_of, seal
from nunchi.tsdb.series_log import RECORD_SERIES_MAX, encode_series, file_header, whole_bytes
from nunchi.tsdb.state import Sealed, State
from nunchi.tsdb.verification import Damage
from nunchi.tsdb.writing import write_block, write_run


def rebuild_manifest(disk: Disk, folder: Folder) -> Manifest:
    """Put a manifest in place that lists what is there; the damaged one goes to `damaged/`. Raises `WorldError`.

    Files out of which others were compacted are left out. Deletions, metadata and which samples were late are forgotten.
    """
    blocks, replaced = _blocks_found(disk, folder)
    runs = [number for number in _numbers(disk, folder.head, RUN_SUFFIX) if number not in replaced]
    series = max(_numbers(disk, folder.head, SERIES_SUFFIX), default=0)
    segments = _numbers(disk, folder.wal, SEGMENT_SUFFIX)
    manifest = Manifest(
        next_number=max([0, *blocks, *runs, series, *replaced]) + 1,
        blocks=tuple(number for number in blocks if number not in replaced),
        runs=tuple(RunEntry(number, has_late=True) for number in runs),
        series=series,
        series_bytes=whole_bytes(disk, folder.series(series)) if series else 0,
        first_segment=min(segments, default=0),
    )
    if disk.size(folder.manifest) is not None:
        set_aside(disk, folder, folder.manifest)
    save_manifest(disk, folder, manifest)
    return manifest


def _numbers(disk: Disk, path: Path, suffix: str) -> list[int]:
    if disk.size(path) is None:
        return []
    return sorted(n for name in disk.list(path) if (n := number_of(name, suffix)) is not None)


def _blocks_found(disk: Disk, folder: Folder) -> tuple[list[int], set[int]]:
    """Blocks with a meta.json, and numbers of files that were compacted into one of them."""
    found: list[int] = []
    replaced: set[int] = set()
    for number in _numbers(disk, folder.blocks, ""):
        try:
            meta = load_meta(disk, folder.block(number))
        except (DiskMissing, CorruptionError):
            continue
        found.append(number)
        replaced.update(meta.sources)
    return found, replaced


def set_aside(disk: Disk, folder: Folder, path: Path) -> None:
    """Move a file or folder to `damaged/`; one of the same name that is there already stays, and this one goes."""
    disk.make_folder(folder.damaged)
    target = folder.damaged / "-".join(path.relative_to(folder.root).parts)
    if disk.size(target) is None:
        disk.rename(path, target)
    else:
        disk.remove(path)


def repair(state: State, damages: Sequence[Damage]) -> list[str]:
    """What can be done by an open database; says what was done. Raises `WorldError`, and what was done by then stays."""
    seal(state)  # and so the log is cut, of which what is damaged was kept aside when it was replayed
    done = [
        f"{damage.path} was read around, the damaged segment is kept aside"
        for damage in damages
        if damage.kind == "wal"
    ]
    done += _drop_unopened(state)
    in_pages = {(damage.kind, damage.number) for damage in damages if damage.is_partial}
    done += [_salvage_block(state, block) for block in state.sealed.blocks if ("block", block.meta.number) in in_pages]
    named = state.head_index().created
    is_series_lost = any(damage.kind == "series" for damage in damages)
    for run in state.sealed.runs:
        if ("run", run.number) in in_pages or (is_series_lost and len(np.setdiff1d(run.ids, named))):
            done.append(_salvage_run(state, run, named))
    if is_series_lost:
        done.append(_rewrite_series(state, named))
    return done


def _drop_unopened(state: State) -> list[str]:
    """What the manifest lists and could not be opened."""
    manifest, sealed, folder = state.manifest, state.sealed, state.folder
    blocks = sorted(set(manifest.blocks) - {block.meta.number for block in sealed.blocks})
    runs = sorted({entry.number for entry in manifest.runs} - {run.number for run in sealed.runs})
    if not blocks and not runs:
        return []
    state.settle(
        sealed,
        blocks=tuple(block.meta.number for block in sealed.blocks),
        runs=tuple(entry_of(state, run.number) for run in sealed.runs),
    )
    for path in (*map(folder.block, blocks), *map(folder.run, runs)):
        if path.exists():
            set_aside(state.disk, folder, path)
    names = [*(f"block {number}" for number in blocks), *(f"run {number}" for number in runs)]
    return [f"{name} is set aside in {folder.damaged}" for name in names]


def _readable(chunks: ChunksFile) -> ChunksFile:
    """A file of chunks without the columns of its damaged pages."""
    lost = [columns for columns, _ in chunks.damaged()]
    return chunks.without(np.unique(np.concatenate(lost))) if lost else chunks


def _salvage_block(state: State, block: Block) -> str:
    number, meta = state.next_number(), block.meta
    view = View(block.index, (_readable(block.chunks),), (), state.manifest.deletions)
    _keep_copy(state, block.folder / CHUNKS)
    fresh = write_block(
        state.disk, state.folder, number, [view], meta.min_time, meta.max_time, meta.level, (meta.number,), state.lock,
        state.cache,
    )  # fmt: skip
    replace_blocks(state, [block], [fresh] if fresh is not None else [])
    left = fresh.meta.samples if fresh is not None else 0
    return f"block {meta.number}: {left} of {meta.samples} samples are in block {number} now"


def _keep_copy(state: State, path: Path) -> None:
    state.disk.make_folder(state.folder.damaged)
    target = state.folder.damaged / "-".join(path.relative_to(state.folder.root).parts)
    if state.disk.size(target) is None:
        state.disk.write_atomically(target, state.disk.read(path))


def _salvage_run(state: State, run: ChunksFile, named: NDArray[np.int32]) -> str:
    """Another run of what can be read, of series whose labels are known."""
    number, entry = state.next_number(), entry_of(state, run.number)
    readable = _readable(run)
    refs = np.intersect1d(readable.ids, named).astype(np.int32)
    _keep_copy(state, run.path)
    path = state.folder.run(number)
    samples = 0
    if len(refs):
        facts = {"has_late": entry.has_late}
        samples = write_run(state.disk, path, state.view_of_runs((readable,)), refs, state.lock, facts)
    fresh = ChunksFile(state.disk, path, number, state.cache) if samples else None
    with state.lock:
        runs: list[ChunksFile] = []
        entries: list[RunEntry] = []
        for other in state.sealed.runs:
            if other is not run:
                runs.append(other)
                entries.append(entry_of(state, other.number))
            elif fresh is not None:
                runs.append(fresh)
                entries.append(RunEntry(number, entry.has_late))
        state.settle(Sealed(state.sealed.blocks, tuple(runs)), runs=tuple(entries))
    state.disk.remove(run.path)
    return f"run {run.number}: {samples} of {run.samples} samples are in run {number} now"


def _rewrite_series(state: State, named: NDArray[np.int32]) -> str:
    """The label keys that are known, in a file of their own."""
    former, number = state.manifest.series, state.next_number()
    path = state.folder.series(number)
    file = state.disk.open_append(path)
    refs = np.sort(named)
    try:
        file.append(file_header())
        for begin in range(0, len(refs), RECORD_SERIES_MAX):
            part = np.ascontiguousarray(refs[begin : begin + RECORD_SERIES_MAX])
            keys, ends = state.head.table.keys_of(part)
            file.append(encode_series(part, keys, np.array([0, *ends], np.int64)))
        file.sync()
        size = file.size
    finally:
        file.close()
    state.settle(state.sealed, series=number, series_bytes=size)
    if former:
        set_aside(state.disk, state.folder, state.folder.series(former))
    return f"the labels of {len(refs)} series are in {path} now"
