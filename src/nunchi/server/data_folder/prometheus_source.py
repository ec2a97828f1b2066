"""What Prometheus left behind, whatever of it was named: one block, a folder of blocks, or a whole data folder.

Blocks that cover the same time are read side by side, two hours after the other, so that series grow in their order.
Invariant: a source folder is only ever read.
"""

from collections.abc import Iterator
from pathlib import Path

from nunchi.kit.disk import Disk
from nunchi.model.batch import Batch
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.folder import PROMETHEUS_HEAD
from nunchi.server.data_folder.progress import Progress
from nunchi.server.data_folder.prometheus_block import INDEX, META, PrometheusBlock, load_meta
from nunchi.server.data_folder.prometheus_head import NEVER, PrometheusHead
from nunchi.wire.errors import WireError

WINDOW_MS = 2 * 3600 * 1000


class PrometheusSource:
    """Implements `importing.Source`."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path
        self._folders = find_blocks(path)
        self._has_head = not (path / META).is_file() and ((path / "wal").is_dir() or (path / PROMETHEUS_HEAD).is_dir())
        if not self._folders and not self._has_head:
            raise UnfitFolder(
                f"{path} holds nothing of Prometheus: name a block, a folder of blocks, or its --storage.tsdb.path"
            )
        self._remarks: list[str] = []
        self._parts: list[PrometheusBlock | PrometheusHead] = []

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self._folders)

    @property
    def remarks(self) -> list[str]:
        """See `Source.remarks`."""
        return [*self._remarks, *(remark for part in self._parts for remark in part.remarks)]

    def batches(self, progress: Progress) -> Iterator[Batch]:
        """See `Source.batches`."""
        blocks = list(self._open_blocks(progress))
        try:
            in_order = [block.meta.max_time for block in blocks if not block.meta.is_late]
            head = PrometheusHead(self._disk, self._path, max(in_order, default=NEVER)) if self._has_head else None
            self._parts += [*blocks, *([head] if head else [])]
            total = sum(block.bytes for block in blocks) + (head.bytes if head else 0)
            progress.begin("importing", total)
            windows = sorted({start for block in blocks for start in block.windows(WINDOW_MS)})
            for start_ms in windows:
                for block in blocks:
                    yield from block.batches(start_ms, start_ms + WINDOW_MS, progress)
            if head is not None:
                yield from head.batches(progress)
        finally:
            for block in blocks:
                block.close()

    def _open_blocks(self, progress: Progress) -> Iterator[PrometheusBlock]:
        metas = [(load_meta(folder), folder) for folder in self._folders]
        # What came out of order comes last: where both have a sample, the one that came first counts, as in Prometheus.
        metas.sort(key=lambda each: (each[0].is_late, each[0].min_time, each[1]))
        progress.begin("reading indexes", len(metas), "blocks")
        for meta, folder in metas:
            try:
                yield PrometheusBlock(self._disk, folder, meta)
            except WireError as error:
                self._remarks.append(f"{folder / INDEX}: {error}; the samples of this block are lost")
            progress.advance(1)


def find_blocks(path: Path) -> list[Path]:
    """The folders of the blocks that a path means; raises `UnfitFolder` where it means nothing."""
    if not path.exists():
        raise UnfitFolder(
            f"{path} does not exist: name a block, a folder of blocks, or Prometheus's --storage.tsdb.path"
        )
    if not path.is_dir():
        raise UnfitFolder(f"{path} is a file: name the folder that it is in")
    if (path / META).is_file():
        if not (path / INDEX).is_file():
            raise UnfitFolder(f"{path} is no whole block: {INDEX} is missing")
        return [path]
    found = sorted(entry for entry in path.iterdir() if (entry / META).is_file() and (entry / INDEX).is_file())
    return [entry for entry in found if not entry.name.endswith((".tmp-for-creation", ".tmp-for-deletion"))]
