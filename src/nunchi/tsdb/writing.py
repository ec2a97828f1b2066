"""From a reading to a file of chunks: what sealing, compaction and snapshots have in common.

Columns are written metric by metric, series that share their timestamps side by side, because alike columns compress well.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.model.labels import METRIC_NAME
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.tsdb.block import Block, BlockMeta, encode_meta, is_mapped, write_index
from nunchi.tsdb.chunks_writer import ChunksWriter
from nunchi.tsdb.files import CHUNKS, INDEX, META, META_VERSION, Folder
from nunchi.tsdb.pages import PageCache
from nunchi.tsdb.querier import Found, View, label_table
from nunchi.tsdb.reading import Located, Reading
from nunchi.tsdb.selected import sort_labels, unite

BATCH_SERIES = 100_000
BATCH_SERIES_MIN = 1_000
BATCH_PARTS = 1 << 19
"""Series, and about as many parts of them, of which is known at once where they lie: 100 bytes each."""
SLICE_MS = 6 * 3600 * 1000
TILE_BYTES = 4 << 20

Longs = NDArray[np.int64]


def write_reading(writer: ChunksWriter, reading: Reading, series: NDArray[np.int32], metrics: Longs) -> None:
    """All samples of a reading; `series[i]` and `metrics[i]` are the number and the metric of its series i."""
    chosen = np.flatnonzero(reading.sizes)
    order = chosen[np.lexsort((chosen, reading.signatures[chosen], metrics[chosen]))]
    for tile in reading.tiles(order, TILE_BYTES):
        writer.add_tile(tile, series[tile.series], metrics[tile.series])


def write_run(disk: Disk, path: Path, view: View, refs: NDArray[np.int32], lock: Any, facts: dict[str, Any]) -> int:
    """A run of some series of the head; returns its samples, 0 where there are none and no file was left."""
    writer = ChunksWriter(disk, path)
    try:
        metrics = view.index.metric_ranks(refs)
        order = np.argsort(metrics, kind="stable")
        size = _batch_series([view], len(refs))
        for begin in range(0, len(order), size):
            batch = order[begin : begin + size]
            place = Located(np.arange(len(batch), dtype=np.int64), refs[batch], view.layers(lock))
            reading = Reading([place], len(batch), -(2**62), 2**62)
            write_reading(writer, reading, refs[batch], metrics[batch])
        if writer.samples == 0:
            writer.abandon()
            disk.remove(path)
            return 0
        writer.finish(facts)
    except BaseException:
        writer.abandon()
        disk.remove(path)  # half a run on a full disk would take the room in which the next attempt could succeed
        raise
    return writer.samples


def write_block(
    disk: Disk, folder: Folder, number: int, views: Sequence[View], start_ms: int, end_ms: int, level: int,
    sources: tuple[int, ...], lock: Any, cache: PageCache,
) -> Block | None:  # fmt: skip
    """A block of all samples of some views in [start_ms, end_ms); None where there are none."""
    found = _found_within(views, start_ms, end_ms, lock)
    if len(found.refs) == 0:
        return None
    building = folder.building(number)
    if disk.size(building) is not None:
        disk.remove(building)
    disk.make_folder(building)
    try:
        table, hashes, order = _sorted_series(found)
        writer = ChunksWriter(disk, building / CHUNKS)
        try:
            _write_chunks(writer, found, order, table, start_ms, end_ms, lock)
            mapped = is_mapped(len(table), writer.samples)
            writer.finish({}, mapped=mapped)
        except BaseException:
            writer.abandon()
            raise
        write_index(disk, building / INDEX, table, hashes, mapped=mapped)
        meta = BlockMeta(META_VERSION, number, start_ms, end_ms, level, writer.samples, len(table), sources)
        disk.write_atomically(building / META, encode_meta(meta))
        disk.rename(building, folder.block(number))
    except BaseException:
        disk.remove(building)
        raise
    return Block(disk, folder.block(number), cache)


def _batch_series(views: Sequence[View], series: int) -> int:
    """How many series to look at together."""
    columns = sum(file.columns for view in views for file in view.files)
    return max(BATCH_SERIES_MIN, min(BATCH_SERIES, BATCH_PARTS * max(1, series) // max(1, columns)))


def _found_within(views: Sequence[View], start_ms: int, end_ms: int, lock: Any) -> Found:
    """The series of all views that have samples in [start_ms, end_ms), without where these lie."""
    selected: list[tuple[int, NDArray[np.int32]]] = []
    for number, view in enumerate(views):
        refs, layers = view.index.select(()), view.layers(lock)
        is_there = np.zeros(len(refs), np.bool_)
        size = _batch_series([view], len(refs))
        for begin in range(0, len(refs), size):
            for layer in layers:
                is_there[begin + layer.find(refs[begin : begin + size], start_ms, end_ms - 1).series] = True
        if is_there.any():
            selected.append((number, refs[is_there]))
    nothing = Reading([], 0, start_ms, end_ms)
    if not selected:
        return Found(views, np.zeros(0, np.int64), np.zeros(0, np.int32), nothing, {})
    united = unite([(views[number].index, refs) for number, refs in selected])
    view_of = np.repeat([number for number, _ in selected], [len(refs) for _, refs in selected])
    all_refs = np.concatenate([refs for _, refs in selected])
    ends = np.cumsum([len(refs) for _, refs in selected]).tolist()
    members = {
        number: (united.positions[end - len(refs) : end], refs)
        for (number, refs), end in zip(selected, ends, strict=True)
    }
    return Found(views, view_of[united.examples].astype(np.int64), all_refs[united.examples], nothing, members)


def _sorted_series(found: Found) -> tuple[LabelTable, NDArray[np.uint64], Longs]:
    """The series in the order of their labels, the bits by which they are known, and that order."""
    table = label_table(found, Symbols())
    order = sort_labels(table)
    hashes = np.empty((len(table), 2), np.uint64)
    for number, view in enumerate(found.views):
        own = found.view_of == number
        if own.any():
            hashes[own] = view.index.hashes[found.refs[own]]
    return table.take(order), hashes[order], order


def _write_chunks(
    writer: ChunksWriter, found: Found, order: Longs, table: LabelTable, start_ms: int, end_ms: int, lock: Any
) -> None:
    metrics = _metrics_of(table)
    by_metric = np.argsort(metrics, kind="stable")
    size = _batch_series(found.views, len(table))
    number_of = np.empty(len(order), np.int64)
    number_of[order] = np.arange(len(order))
    for begin in range(0, len(by_metric), size):
        batch = by_metric[begin : begin + size]
        place_of = np.full(len(table), -1, np.int64)
        place_of[batch] = np.arange(len(batch))
        for slice_ms in range(start_ms, end_ms, SLICE_MS):
            located = []
            for view, (positions, refs) in found.members.items():
                places = place_of[number_of[positions]]
                some = places >= 0
                located.append(Located(places[some], refs[some], found.views[view].layers(lock)))
            reading = Reading(located, len(batch), slice_ms, min(slice_ms + SLICE_MS, end_ms) - 1)
            write_reading(writer, reading, batch.astype(np.int32), metrics[batch])


def _metrics_of(table: LabelTable) -> Longs:
    metrics = np.zeros(len(table), np.int64)
    symbol = table.symbols.find(METRIC_NAME)
    if symbol is not None:
        named = np.flatnonzero(table.names == symbol)
        metrics[np.searchsorted(table.offsets, named, side="right") - 1] = table.values[named]
    return metrics
