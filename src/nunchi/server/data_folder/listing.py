"""The files of a data folder that hold sealed samples."""

from dataclasses import dataclass
from pathlib import Path

from nunchi.server.data_folder.folder import look
from nunchi.server.world import World
from nunchi.tsdb.block import Block


@dataclass(frozen=True, slots=True)
class FileView:
    """A block or a run; `damage` is empty where it could be opened."""

    name: str
    min_time_ms: int = 0
    max_time_ms: int = 0
    series: int = 0
    samples: int = 0
    bytes: int = 0
    damage: str = ""


def list_files(path: Path, world: World) -> list[FileView]:
    """Blocks, then runs, what cannot be opened included. Raises `WorldError`."""
    database = look(path, world)
    views = []
    for file in database.sealed_files():
        chunks = file.chunks if isinstance(file, Block) else file
        kind = "block" if isinstance(file, Block) else "run"
        name = f"{kind} {chunks.number}"
        views.append(FileView(name, chunks.min_time, chunks.max_time, len(chunks.ids), chunks.samples, file.bytes))
    return [*views, *(FileView(name, damage="cannot be opened") for name in database.missing_files())]
