"""Stores for scripts: in memory, or a database whose samples lie where the script's author never thought of.

Invariant: a setting's samples are all visible after `append`, wherever they lie then.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable
from nunchi.query.engine import EngineSettings
from nunchi.storage.contracts import Querier, SelectHints, Selection, Tile
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.testing.engine_setting import SETTINGS, EngineSetting
from nunchi.testing.script_loading import LoadedSeries
from nunchi.tsdb.compaction import BLOCK_MS, compact_head
from nunchi.tsdb.database import Database
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

NOW_SECONDS = 10_000_000.0
RETENTION_MS = 10**15
Move = Callable[[Database], None]


def memory_store() -> MemoryStore:
    return MemoryStore(VirtualClock(NOW_SECONDS), retention_ms=RETENTION_MS)


class SmallTiles:
    """A store in memory whose tiles have one series each."""

    def __init__(self) -> None:
        self.store = memory_store()
        self.appender, self.metadata, self.statistics = self.store.appender, self.store.metadata, self.store.statistics

    def querier(self) -> Querier:
        return SmallTilesQuerier(self.store.querier())


class SmallTilesQuerier:
    def __init__(self, querier: Querier) -> None:
        self._querier = querier
        self.symbols = querier.symbols
        self.label_names, self.label_values, self.close = querier.label_names, querier.label_values, querier.close

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints | None = None
    ) -> Selection:
        return SmallTilesSelection(self._querier.select(matchers, start_ms, end_ms, hints))


class SmallTilesSelection:
    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.labels: LabelTable = selection.labels
        self.vectors: NDArray[np.int64] = selection.vectors
        self.sizes: NDArray[np.int64] = selection.sizes
        self.close = selection.close

    def read(self, begin: int, end: int, tile_bytes: int = 0) -> Iterator[Tile]:
        return self._selection.read(begin, end, 1)


def leave(_: Database) -> None:
    """Samples stay where they were written: in the log and in open cells."""


def to_run(database: Database) -> None:
    """What is open becomes a run."""
    database.seal()


def to_block(database: Database) -> None:
    """What is open, and all runs, become blocks."""
    database.seal()
    state = database._state
    compact_head(state, (state.clock.now_ms() // BLOCK_MS + 2) * BLOCK_MS)


class DatabaseSetting(EngineSetting):
    """Every `load` comes in as many parts by time as there are moves; after each part what is open is moved."""

    def __init__(self, folder: Path, moves: Sequence[Move]) -> None:
        settings = DatabaseSettings(retention_ms=RETENTION_MS)
        clock, telemetry = VirtualClock(NOW_SECONDS), DatabaseTelemetry(Telemetry())
        self.database = Database(folder, SystemDisk(), clock, telemetry, logger("tsdb"), settings)
        self.database.open()
        self._moves = moves
        super().__init__(self.database)

    def append(self, series: Sequence[LoadedSeries]) -> None:
        times = sorted({sample.timestamp_ms for one in series for sample in one.samples})
        for part, move in enumerate(self._moves):
            first, last = len(times) * part // len(self._moves), len(times) * (part + 1) // len(self._moves)
            own = set(times[first:last])
            super().append(
                [replace(one, samples=tuple(s for s in one.samples if s.timestamp_ms in own)) for one in series]
            )
            move(self.database)


@contextlib.contextmanager
def databases(moves: Sequence[Move]) -> Iterator[Callable[[], EngineSetting]]:
    """Makes settings over databases of their own, and takes them away at the end."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:

        def make() -> EngineSetting:
            path = Path(tempfile.mkdtemp(dir=folder)) / "data"
            setting = DatabaseSetting(path, moves)
            opened.callback(setting.database.abandon)
            return setting

        yield make


def in_memory(settings: EngineSettings = SETTINGS) -> contextlib.AbstractContextManager[Callable[[], EngineSetting]]:
    return contextlib.nullcontext(lambda: EngineSetting(memory_store(), settings))


# Each name is how a test calls it.
SMALL = replace(SETTINGS, batch_cells=1)
STORES: dict[str, Callable[[], contextlib.AbstractContextManager[Callable[[], EngineSetting]]]] = {
    "memory": in_memory,
    "memory, as written": lambda: in_memory(replace(SETTINGS, rewrites=False)),
    "memory, small batches": lambda: contextlib.nullcontext(lambda: EngineSetting(SmallTiles(), SMALL)),
    "head": lambda: databases([leave]),
    "runs": lambda: databases([to_run]),
    "blocks": lambda: databases([to_block]),
    "block, run and head": lambda: databases([to_block, to_run, leave]),
    "many files": lambda: databases([to_run, to_block] * 6),
}
