"""Whether every byte of a data folder is as it was written: all checksums of all files, and what each damage costs.

Nothing is changed, and a database may be writing meanwhile. Invariant: a file that is not named in `tsdb.files` is not opened.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk, DiskMissing
from nunchi.tsdb.block import load_meta
from nunchi.tsdb.commits import decode_commit
from nunchi.tsdb.errors import CorruptionError, DatabaseError
from nunchi.tsdb.files import (
    BUILDING_SUFFIX,
    CHUNKS,
    DAMAGED_FOLDER,
    INDEX,
    META,
    RUN_SUFFIX,
    SEGMENT_SUFFIX,
    SERIES_SUFFIX,
    SNAPSHOTS_FOLDER,
    Folder,
    number_of,
)
from nunchi.tsdb.manifest import Manifest, manifest_of
from nunchi.tsdb.page import page_body
from nunchi.tsdb.sections import MAGIC, Sections
from nunchi.tsdb.series_log import read_series
from nunchi.tsdb.wal import SEGMENT_HEADER, Salvage, read_segment, segment_header

ATTEMPTS_MAX = 5
PAGES = "pages"  # arrays of this name, or ending in it, say where pages are

Step = Callable[[Path, int], None]


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was written: what (file and place stand in the text) and what is lost by it.

    kind    manifest, block, run, series, wal
    number  of the block, run, series file or segment
    is_partial  a page alone is damaged, the rest of the file is of use
    """

    kind: str
    number: int
    path: Path
    text: str
    lost: str
    is_partial: bool = False


@dataclass(slots=True)
class Verification:
    """What was found. `strangers`: names that are not ours; `leftovers`: ours and of no use, removed at the next start."""

    manifest: Manifest
    files: int = 0
    bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


def verify_folder(disk: Disk, folder: Folder, step: Step, neighbours: Collection[str] = ()) -> Verification:
    """Check all files; `step` is told of each and its bytes. `neighbours` are names in the folder that are ours and no
    part of the database. Raises `NewerVersionError`, and other `WorldError`s.
    """
    for _ in range(ATTEMPTS_MAX):
        manifest, damage = _load_manifest(disk, folder)
        found = Verification(manifest or Manifest())
        if damage is not None:
            found.damages.append(damage)
        _Verifier(disk, folder, found, step, neighbours).verify(is_listed=damage is None)
        if damage is not None or _load_manifest(disk, folder)[0] == manifest:
            return found
    raise DatabaseError(f"{folder.root} changes faster than it can be verified: try again, or stop the server")


def _load_manifest(disk: Disk, folder: Folder) -> tuple[Manifest | None, Damage | None]:
    try:
        return manifest_of(disk, folder), None
    except CorruptionError as error:
        lost = "which files count, deletions and metadata; the server does not start"
        return None, Damage("manifest", 0, folder.manifest, str(error), lost)


class _Verifier:
    """One pass over a folder."""

    def __init__(
        self, disk: Disk, folder: Folder, found: Verification, step: Step, neighbours: Collection[str]
    ) -> None:
        self._disk = disk
        self._folder = folder
        self._found = found
        self._step = step
        self._neighbours = neighbours
        self._run_ids: list[NDArray[np.int32]] = []

    def verify(self, *, is_listed: bool) -> None:
        """Everything; without a manifest that can be read, whatever is there."""
        folder, manifest = self._folder, self._found.manifest
        if self._disk.size(folder.manifest) is not None:
            self._count(folder.manifest)
        blocks = manifest.blocks if is_listed else self._numbers(folder.blocks, "")
        runs = tuple(entry.number for entry in manifest.runs) if is_listed else self._numbers(folder.head, RUN_SUFFIX)
        for number in blocks:
            self._verify_block(number)
        for number in runs:
            self._verify_run(number)
        if manifest.series:
            self._verify_series(manifest.series, manifest.series_bytes)
        elif not is_listed:
            for number in self._numbers(folder.head, SERIES_SUFFIX):
                self._verify_series(number, self._disk.size(folder.series(number)) or 0)
        for number in self._numbers(folder.wal, SEGMENT_SUFFIX):
            if number >= manifest.first_segment:
                self._verify_segment(number)
        if is_listed:
            self._sort_out_the_rest(set(blocks), set(runs))

    def _numbers(self, path: Path, suffix: str) -> tuple[int, ...]:
        if self._disk.size(path) is None:
            return ()
        return tuple(sorted(n for name in self._disk.list(path) if (n := number_of(name, suffix)) is not None))

    def _count(self, path: Path) -> None:
        size = self._disk.size(path) or 0
        self._found.files += 1
        self._found.bytes += size
        self._step(path, size)

    def _damage(
        self, kind: str, number: int, path: Path, error: object, lost: str, *, is_partial: bool = False
    ) -> None:
        text = str(error)
        text = text if str(path) in text else f"{path}: {text}"
        self._found.damages.append(Damage(kind, number, path, text, lost, is_partial))

    def _verify_block(self, number: int) -> None:
        path = self._folder.block(number)
        lost = f"all samples of block {number}"
        try:
            meta = load_meta(self._disk, path)
            lost = f"{meta.samples} samples of {meta.series} series"
        except DiskMissing:
            self._damage("block", number, path / META, "it is missing", lost)
            return
        except CorruptionError as error:
            self._damage("block", number, path / META, error, lost)
            return
        self._count(path / META)
        self._verify_arrays("block", number, path / INDEX, lost)
        self._verify_chunks("block", number, path / CHUNKS, lost)

    def _verify_run(self, number: int) -> None:
        sections = self._verify_chunks("run", number, self._folder.run(number), f"all samples of run {number}")
        if sections is not None:
            self._run_ids.append(sections.array("ids"))

    def _verify_arrays(self, kind: str, number: int, path: Path, lost: str) -> Sections | None:
        """The sections of a file of which every array is whole."""
        try:
            sections = Sections(self._disk, path)
            for name in sections.names():
                sections.array(name)
        except DiskMissing:
            self._damage(kind, number, path, "it is missing", lost)
            return None
        except (CorruptionError, ValueError) as error:
            self._count(path)
            self._damage(kind, number, path, error, lost)
            return None
        self._count(path)
        if bytes(sections.view[: len(MAGIC)]) != MAGIC:
            self._damage(
                kind, number, path, "its first bytes are damaged", "nothing, its end says the same", is_partial=True
            )
        return sections

    def _verify_chunks(self, kind: str, number: int, path: Path, lost: str) -> Sections | None:
        sections = self._verify_arrays(kind, number, path, lost)
        if sections is None:
            return None
        for name in sections.names():
            if not name.endswith(PAGES):
                continue
            for place, at in enumerate(sections.array(name).tolist()):
                try:
                    page_body(sections.view, at)
                except CorruptionError as error:
                    self._damage(kind, number, path, error, _lost_by_page(sections, name, place), is_partial=True)
        return sections

    def _verify_series(self, number: int, size: int) -> None:
        path = self._folder.series(number)
        known: list[NDArray[np.int32]] = []
        try:
            known += [refs for refs, _, _ in read_series(self._disk, path, size)]
        except (CorruptionError, DiskMissing) as error:
            has = np.unique(np.concatenate(self._run_ids)) if self._run_ids else np.zeros(0, np.int32)
            missing = len(np.setdiff1d(has, np.concatenate(known) if known else has[:0]))
            self._damage(
                "series", number, path, error, f"the labels, and so the sealed samples, of {missing} series of the head"
            )
            return
        self._count(path)

    def _verify_segment(self, number: int) -> None:
        path = self._folder.segment(number)
        salvage = Salvage()
        lost = "what was acknowledged in it and is not sealed yet"
        try:
            begin = self._disk.read(path, 0, SEGMENT_HEADER.size)
            for body in read_segment(self._disk, self._folder, number, salvage):
                try:
                    decode_commit(body)
                except CorruptionError as error:
                    self._damage("wal", number, path, error, "one record")
        except DiskMissing:
            return  # cut meanwhile
        if len(begin) == SEGMENT_HEADER.size and begin != segment_header():
            self._damage("wal", number, path, "its first bytes are damaged", "nothing, records are checked one by one")
        for first, after in salvage.damaged_spans:
            self._damage("wal", number, path, f"the bytes {first} to {after} are no whole records", lost)
        if salvage.torn_bytes:
            self._found.notes.append(
                f"{path}: {salvage.torn_bytes} bytes at its end are no whole record: it is being written now, or was when "
                "the process was killed; it was never acknowledged"
            )
        self._count(path)

    def _sort_out_the_rest(self, blocks: set[int], runs: set[int]) -> None:
        folder, manifest = self._folder, self._found.manifest
        known = {
            folder.lock.name, folder.manifest.name, folder.wal.name, folder.head.name, folder.blocks.name,
            DAMAGED_FOLDER, SNAPSHOTS_FOLDER, *self._neighbours,
        }  # fmt: skip
        self._found.strangers += [name for name in self._disk.list(folder.root) if name not in known]
        judges: tuple[tuple[Path, Callable[[str], bool | None]], ...] = (
            (folder.head, lambda name: _fate(name, {RUN_SUFFIX: runs, SERIES_SUFFIX: {manifest.series}})),
            (folder.blocks, lambda name: _fate(name, {"": blocks, BUILDING_SUFFIX: set()})),
            (folder.wal, lambda name: _fate(name, {SEGMENT_SUFFIX: None})),
        )
        for part, judge in judges:
            for name in self._disk.list(part) if self._disk.size(part) is not None else ():
                fate = judge(name)
                if fate is not None:
                    (self._found.leftovers if fate else self._found.strangers).append(f"{part.name}/{name}")


def _fate(name: str, known: dict[str, Any]) -> bool | None:
    """None: counts; True: ours and left over; False: a stranger."""
    for suffix, numbers in known.items():
        number = number_of(name, suffix)
        if number is not None:
            return None if numbers is None or number in numbers else True
    return False


def _lost_columns(sections: Sections, name: str, place: int) -> NDArray[np.int64] | None:
    """The columns that cannot be read without a page, by the array that lists it and its place there; None: not known."""
    if name == PAGES:
        firsts = sections.array("page_firsts")
        return np.arange(int(firsts[place]), int(firsts[place + 1]))
    if name == f"vector_{PAGES}":
        firsts, vectors = sections.array("vector_firsts"), sections.array("vectors")
        return np.flatnonzero((vectors >= firsts[place]) & (vectors < firsts[place + 1]))
    return None


def _lost_by_page(sections: Sections, name: str, place: int) -> str:
    columns = _lost_columns(sections, name, place)
    if columns is None:
        return "the samples in it"
    counts = sections.array("vector_counts").astype(np.int64)[sections.array("vectors")[columns]]
    return f"{int(counts.sum())} samples of {len(np.unique(sections.array('series')[columns]))} series"
