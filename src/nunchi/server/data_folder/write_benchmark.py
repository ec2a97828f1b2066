"""`bench write`: how many samples a second of processor this machine takes in, how small they get, and what a series costs.

Targets of 500 series are appended one after the other, as scrapes arrive: counters that grow unevenly and gauges that wander.
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.model.batch import Batch
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.server.data_folder.errors import UnfitFolder
from nunchi.server.data_folder.folder import open_to_write
from nunchi.server.data_folder.progress import Progress
from nunchi.server.world import World
from nunchi.tsdb.state import DatabaseSettings

TARGET_SERIES = 500
STEP_MS = 15_000
SEED = 7


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What was measured. `memory_bytes`: by how much the process grew; seconds include the sealing at the end."""

    series: int
    samples: int
    cpu_seconds: float
    seconds: float
    bytes: int
    memory_bytes: int

    @property
    def samples_per_cpu_second(self) -> float:
        """The rate."""
        return self.samples / max(self.cpu_seconds, 1e-9)


def check_new(path: Path) -> None:
    """Raise `UnfitFolder` where a path exists: what a benchmark leaves is removed, so nothing else may lie there."""
    if path.exists():
        raise UnfitFolder(f"{path} exists: name a folder that does not, it is removed afterwards")


def bench_write(
    path: Path,
    series: int,
    samples: int,
    world: World,
    progress: Progress,
    cpu_seconds: Callable[[], float],
    *,
    syncs_always: bool = False,
) -> WriteReport:
    """Append to a folder that `check_new` let pass. Raises `WorldError`, `Interrupted`."""
    steps = max(1, samples // series)
    sizes = [min(TARGET_SERIES, series - begin) for begin in range(0, series, TARGET_SERIES)]
    layouts = [_layout(target, size) for target, size in enumerate(sizes)]
    begin_ms = world.clock.now_ms() - steps * STEP_MS
    progress.begin("appending", steps * series, "samples")
    memory = _resident_bytes()
    cpu, wall = cpu_seconds(), world.clock.monotonic()
    generator = np.random.default_rng(SEED)
    with open_to_write(path, world, DatabaseSettings(wal_sync_always=syncs_always)) as database:
        appender = database.appender()
        rows = [np.zeros(len(layout)) for layout in layouts]
        for step in range(steps):
            for target, layout in enumerate(layouts):
                _advance(rows[target], generator)
                columns = np.arange(len(layout), dtype=np.int32)
                appender.append(Batch.row(layout, begin_ms + step * STEP_MS + target % STEP_MS, columns, rows[target]))
                appender.commit()
                progress.advance(len(layout), len(layout))
            database.maintain()
        grown = _resident_bytes() - memory
    return WriteReport(
        series, steps * series, cpu_seconds() - cpu, world.clock.monotonic() - wall, _sealed_bytes(path), max(grown, 0)
    )


def _layout(target: int, series: int) -> Layout:
    instance = f"10.0.{target // 250}.{target % 250}:9100"
    return Layout.of(
        *(Labels.of(f"bench_metric_{n % 50}", job="bench", instance=instance, part=str(n // 50)) for n in range(series))
    )


def _advance(row: NDArray[np.float64], generator: np.random.Generator) -> None:
    """The next values, in place: four fifths counters, of which half stand still, the rest gauges with two digits."""
    split = len(row) * 4 // 5
    row[:split] += generator.integers(0, 200, split) * (generator.random(split) < 0.5)
    row[split:] = np.round(row[split:] + generator.normal(0, 1, len(row) - split), 2)


def _sealed_bytes(path: Path) -> int:
    return sum(
        file.stat().st_size for part in ("head", "blocks") for file in (path / part).rglob("*") if file.is_file()
    )


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
