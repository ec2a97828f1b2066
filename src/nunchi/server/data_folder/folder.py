"""Whether a path is a data folder of ours, and opening it: to read beside a running server, or to write, alone.

Invariant: a folder of somebody else is refused before anything is made in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nunchi.kit.disk import DiskLocked
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.server.data_folder.errors import DamageFound, UnfitFolder
from nunchi.server.retention import UNBOUNDED_MS
from nunchi.server.world import World
from nunchi.tsdb.database import Database
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import BLOCKS_FOLDER, HEAD_FOLDER, WAL_FOLDER, Folder
from nunchi.tsdb.state import DatabaseSettings
from nunchi.tsdb.telemetry import DatabaseTelemetry

PROMETHEUS_HEAD = "chunks_head"
BLOCK_NAME_LENGTH = 26  # a ULID
_BLOCK_NAME_LETTERS = frozenset("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def is_prometheus_block_name(name: str) -> bool:
    """Whether Prometheus calls a block so."""
    return len(name) == BLOCK_NAME_LENGTH and set(name) <= _BLOCK_NAME_LETTERS


def is_prometheus_folder(path: Path) -> bool:
    """Whether Prometheus keeps, or kept, its samples here."""
    return (path / PROMETHEUS_HEAD).is_dir() or any(
        is_prometheus_block_name(entry.name) and (entry / "meta.json").is_file() for entry in path.iterdir()
    )


def check_folder(path: Path) -> Folder:
    """The folder at a path that must be a data folder of ours; raises `UnfitFolder`."""
    if not path.exists():
        raise UnfitFolder(f"{path} does not exist: name the folder of --storage.tsdb.path")
    if not path.is_dir():
        raise UnfitFolder(f"{path} is a file: name the folder of --storage.tsdb.path")
    folder = Folder(path.absolute())
    if folder.manifest.is_file() or all((path / part).is_dir() for part in (WAL_FOLDER, HEAD_FOLDER, BLOCKS_FOLDER)):
        return folder
    if is_prometheus_folder(path):
        raise UnfitFolder(
            f"{path} is a data folder of Prometheus: bring it in with `nunchi tsdb import prometheus {path} --into FOLDER`"
        )
    if BLOCKS_FOLDER in {path.name, path.parent.name}:
        raise UnfitFolder(f"{path} is a part of a data folder: name the folder above it")
    raise UnfitFolder(
        f"{path} is no data folder of nunchi, it has no manifest.json: name the one of --storage.tsdb.path"
    )


def look(path: Path, world: World) -> Database:
    """A data folder to read from; nothing in it is changed. Raises `WorldError`."""
    root = check_folder(path).root
    try:
        return Database.look(root, world.disk, world.clock, logger("tsdb"))
    except CorruptionError as error:
        raise DamageFound(
            f"{error}: `nunchi tsdb repair {path}` tells what can be done, or restore a snapshot"
        ) from error


def check_target(path: Path) -> None:
    """Whether a path may become, or is, a data folder of ours; raises `UnfitFolder`."""
    if path.exists() and not path.is_dir():
        raise UnfitFolder(f"{path} is a file: name a folder, new or of --storage.tsdb.path")
    if path.is_dir() and any(path.iterdir()):
        check_folder(path)


@contextmanager
def open_to_write(path: Path, world: World, settings: DatabaseSettings | None = None) -> Iterator[Database]:
    """A data folder, made where there is none, under its lock; sealed and let go of at the end. Nothing is too old here."""
    check_target(path)
    settings = settings or DatabaseSettings(retention_ms=UNBOUNDED_MS, late_max_ms=UNBOUNDED_MS)
    root = path.absolute()
    database = Database(root, world.disk, world.clock, DatabaseTelemetry(Telemetry()), logger("tsdb"), settings)
    try:
        database.open()
    except DiskLocked as error:
        raise UnfitFolder(f"{path}: {error.reason}; `nunchi tsdb list` and `dump` work beside it") from error
    try:
        yield database
    finally:
        database.close()
