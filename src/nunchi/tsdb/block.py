"""Blocks: immutable folders for a time range. docs/formats/{meta,index,chunks}.md have the bytes.

Invariant: a block is complete when its folder has its name, and counts when the manifest lists it.
"""

import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.distinct import distinct
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import CHUNKS, INDEX, META, META_VERSION, check_version
from nunchi.tsdb.index import Index, Postings
from nunchi.tsdb.kernels import labels as kernel
from nunchi.tsdb.pages import PageCache
from nunchi.tsdb.sections import Sections, SectionsWriter

MAPPED_SERIES_MIN = 50_000
MAPPED_SAMPLES_PER_SERIES = 2048


class BlockMeta(msgspec.Struct, frozen=True):
    """What a block says of itself: [min_time, max_time) in milliseconds, how often it was compacted, out of which numbers."""

    version: int
    number: int
    min_time: int
    max_time: int
    level: int
    samples: int
    series: int
    sources: tuple[int, ...] = ()


class _Checked(msgspec.Struct):
    crc32: int
    meta: msgspec.Raw


def encode_meta(meta: BlockMeta) -> bytes:
    """The bytes of `meta.json`."""
    content = msgspec.json.format(msgspec.json.encode(meta), indent=1)
    return msgspec.json.encode(_Checked(zlib.crc32(content), msgspec.Raw(content)))


def load_meta(disk: Disk, folder: Path) -> BlockMeta:
    """What a block says of itself; raises `CorruptionError`, `NewerVersionError`, `DiskMissing`."""
    path = folder / META
    content = disk.read(path)
    try:
        if b'"crc32"' in content:
            checked = msgspec.json.decode(content, type=_Checked)
            content = bytes(checked.meta)
            if zlib.crc32(content) != checked.crc32:
                raise CorruptionError(f"{path} fails its checksum")
        check_version(path, msgspec.json.decode(content, type=_Versioned).version, META_VERSION)
        return msgspec.json.decode(content, type=BlockMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptionError(f"{path} cannot be read: {error}") from None


class _Versioned(msgspec.Struct):
    version: int


def is_mapped(series: int, samples: int) -> bool:
    """Whether index and directory of a block are used where they are mapped, and so take no memory.

    Those of few series with few samples each are packed: a third of the room on disk, where it counts, and about 100 bytes of
    memory a series for as long as it takes until the block is merged into a larger one.
    """
    return series >= MAPPED_SERIES_MIN or samples >= MAPPED_SAMPLES_PER_SERIES * series


class Block:
    """An open block."""

    def __init__(self, disk: Disk, folder: Path, cache: PageCache) -> None:
        self.folder = folder
        self.meta = load_meta(disk, folder)
        self.chunks = ChunksFile(disk, folder / CHUNKS, self.meta.number, cache)
        self._sections = Sections(disk, folder / INDEX)
        self.index = _open_index(self._sections)
        self._hash_slots: NDArray[np.int32] = self._sections.array("series_slots")
        self.bytes = self.chunks.bytes + sum(disk.size(folder / name) or 0 for name in (INDEX, META))

    def refs_of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The number of each series, by the 128 bits of its label key; -1 where it is not here."""
        refs = np.empty(len(hashes), np.int32)
        kernel.find_hashes(np.ascontiguousarray(hashes), self.index.hashes, self._hash_slots, refs)
        return refs

    def newest_of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The newest timestamp of each series, by the 128 bits of its label key; the smallest int64 where it is not here."""
        refs = self.refs_of(hashes)
        found = np.full(len(hashes), -(2**63), np.int64)
        known = refs >= 0
        if known.any():
            found[known] = self.chunks.newest_of(refs[known])
        return found

    def verify(self) -> None:
        """Check every checksum; raises `CorruptionError`."""
        for name in self._sections.names():
            self._sections.array(name)
        self.chunks.verify()


def _open_index(sections: Sections) -> Index:
    array = sections.array
    offsets = array("series_offsets")
    count = len(offsets) - 1
    pair_values, metrics = array("pair_values"), array("series_metrics")
    if "series_lengths" in sections.names():
        lengths, numbers = array("series_lengths"), array("series_numbers")
    else:
        lengths, numbers = np.diff(offsets).astype(np.int32), np.arange(count, dtype=np.int32)
    return Index(
        array("symbol_bytes"), array("symbol_ends"), array("symbol_slots"), array("pair_names"), pair_values,
        array("pair_slots"), offsets[:-1], lengths, array("series_pairs"), array("series_hashes").reshape(-1, 2),
        metrics, numbers, Postings(count, array("postings_offsets"), array("postings")), lambda _: None,
    )  # fmt: skip


def _slots(count: int) -> NDArray[np.int32]:
    return np.full(max(2, 1 << (2 * count - 1).bit_length()), -1, np.int32)


def write_index(disk: Disk, path: Path, table: LabelTable, hashes: NDArray[np.uint64], *, mapped: bool) -> None:
    """The index of the series of a label table, numbered in its order."""
    used = [distinct(part, len(table.symbols))[0] for part in (table.names, table.values)]
    texts = {symbol: table.symbols.text(symbol) for symbol in np.unique(np.concatenate(used)).tolist()}
    others = sorted((text, symbol) for symbol, text in texts.items() if text not in ("", METRIC_NAME))
    own = np.zeros(len(table.symbols), np.int32)
    for number, (_, symbol) in enumerate(others, start=2):
        own[symbol] = number
    name_symbol = table.symbols.find(METRIC_NAME)
    if name_symbol is not None:
        own[name_symbol] = 1
    encoded = [b"", METRIC_NAME.encode(), *(text.encode("utf-8", "surrogatepass") for text, _ in others)]
    symbol_ends = np.cumsum([len(text) for text in encoded]).astype(np.int64)
    symbol_bytes = np.frombuffer(b"".join(encoded), np.uint8)
    names, values = own[table.names], own[table.values]
    used_names, name_places = distinct(names, len(encoded))
    name_places *= len(encoded)
    name_places += values
    pair_codes, pairs = distinct(name_places, len(used_names) * len(encoded))
    pair_names = used_names[pair_codes // len(encoded)].astype(np.int32)
    pair_values = (pair_codes % len(encoded)).astype(np.int32)
    series_pairs = pairs.astype(np.int32)
    count = len(table)
    created = np.arange(count, dtype=np.int32)
    lengths = np.diff(table.offsets).astype(np.int32)
    metrics = np.full(count, -1, np.int32)
    named = np.flatnonzero(names == 1)
    metrics[np.searchsorted(table.offsets, named, side="right") - 1] = series_pairs[named]
    postings_offsets, postings = np.zeros(len(pair_codes) + 1, np.int64), np.empty(len(series_pairs), np.int32)
    kernel.build_postings(created, table.offsets[:-1], lengths, series_pairs, postings_offsets, postings)
    symbol_slots, pair_slots, series_slots = _slots(len(encoded)), _slots(len(pair_codes)), _slots(count)
    kernel.fill_symbol_slots(symbol_bytes, symbol_ends, len(encoded), symbol_slots)
    kernel.fill_pair_slots(pair_names, pair_values, len(pair_codes), pair_slots)
    kernel.put_slots(hashes, created, series_slots)
    writer = SectionsWriter(disk, path)
    arrays: dict[str, NDArray[Any]] = {
        "symbol_bytes": symbol_bytes, "symbol_ends": symbol_ends, "symbol_slots": symbol_slots,
        "pair_names": pair_names, "pair_values": pair_values, "pair_slots": pair_slots,
        "series_offsets": table.offsets, "series_pairs": series_pairs, "series_hashes": hashes.reshape(-1),
        "series_metrics": metrics, "series_slots": series_slots,
        "postings_offsets": postings_offsets, "postings": postings,
    }  # fmt: skip
    if mapped:  # what can be computed is there as well, so that it takes no memory
        arrays |= {"series_lengths": lengths, "series_numbers": created}
    for name, array in arrays.items():
        writer.put(name, array, packed=not mapped)
    writer.finish({"series": count})
