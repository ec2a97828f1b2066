"""`nunchi.open`: PromQL over a data folder from Python, without a server or beside a running one.

Invariant: nothing in the folder is changed, and what was read once stays as it was: whoever wants newer samples opens again.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError
from nunchi.kit.logs import logger
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.frames.answer import Answer
from nunchi.query.functions import PythonFunction
from nunchi.query.values import QueryResult
from nunchi.server.language import DELAYED_NAMES, parser_settings, split_features
from nunchi.server.world import World
from nunchi.storage.contracts import Store
from nunchi.tsdb.block import Block
from nunchi.tsdb.chunks import ChunksFile
from nunchi.tsdb.database import Database
from nunchi.tsdb.errors import CorruptionError, DatabaseError
from nunchi.tsdb.files import Folder

# Unix seconds, or a datetime that knows its zone.
Moment = float | datetime


class QueryWarning(UserWarning):
    """What PromQL has to say about an answer that may not be what was meant."""


class OpenedFolder:
    """A data folder as it was when it was opened. Safe to use from several threads."""

    def __init__(self, store: Store, engine: Engine, clock: Clock) -> None:
        self.store = store
        self.engine = engine
        self._clock = clock

    def query(self, expression: str, time: Moment | None = None) -> Answer:
        """The value of an expression at one time, now unless given; raises `QueryError`."""
        at_ms = self._clock.now_ms() if time is None else _milliseconds(time)
        return _answer(self.engine.instant(self.store.querier, expression, at_ms))

    def query_range(self, expression: str, start: Moment, end: Moment, step: float | str) -> Answer:
        """The values of an expression at start, start + step, … up to the end; a step is seconds, or text as `1m`."""
        try:
            step_ms = parse_duration(step) if isinstance(step, str) else round(step * 1000)
        except ValueError as error:
            raise InputError(f"step: {error}") from None
        start_ms, end_ms = _milliseconds(start), _milliseconds(end)
        return _answer(self.engine.range(self.store.querier, expression, start_ms, end_ms, step_ms))


def open(  # noqa: A001 (called as nunchi.open)
    path: str | Path,
    functions: Sequence[PythonFunction] = (),
    features: Sequence[str] = (),
    world: World | None = None,
) -> OpenedFolder:
    """Read a data folder, which a server may be writing: everything acknowledged by now. Raises `WorldError`.

    functions  made with `nunchi.function`, to be called in PromQL
    features   experimental parts of PromQL, as `--enable-feature` names them
    """
    world = world or World()
    named = split_features(features)
    settings = EngineSettings(
        parser=parser_settings(named), delays_names=DELAYED_NAMES in named, functions=tuple(functions)
    )
    return OpenedFolder(_look(Path(path).absolute(), world), Engine(settings), world.clock)


@dataclass(frozen=True, slots=True)
class FileView:
    """A block or a run of a data folder; `damage` is empty where every checksum holds, or none was checked."""

    name: str
    min_time_ms: int
    max_time_ms: int
    samples: int
    bytes: int
    damage: str = ""


def list_files(path: Path, world: World, *, is_verified: bool) -> list[FileView]:
    """The files of a data folder that hold sealed samples, what cannot be opened included. Raises `WorldError`."""
    database = _look(path.absolute(), world)
    views = [_view(file, is_verified=is_verified) for file in database.sealed_files()]
    return [*views, *(FileView(name, 0, 0, 0, 0, "cannot be opened") for name in database.missing_files())]


def _view(file: Block | ChunksFile, *, is_verified: bool) -> FileView:
    chunks = file.chunks if isinstance(file, Block) else file
    kind = "block" if isinstance(file, Block) else "run"
    damage = ""
    if is_verified:
        try:
            file.verify()
        except CorruptionError as error:
            damage = str(error)
    name = f"{kind} {chunks.number}"
    return FileView(name, chunks.min_time, chunks.max_time, chunks.samples, file.bytes, damage)


def _look(root: Path, world: World) -> Database:
    if not Folder(root).wal.is_dir():
        raise DatabaseError(f"{root} is no data folder of nunchi: name the one of --storage.tsdb.path")
    return Database.look(root, world.disk, world.clock, logger("tsdb"))


def _milliseconds(moment: Moment) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InputError(f"{moment} has no time zone: give it one, as tzinfo=UTC, or use Unix seconds")
        moment = moment.timestamp()
    return round(moment * 1000)


def _answer(result: QueryResult) -> Answer:
    for text in result.warnings:
        warnings.warn(text, QueryWarning, stacklevel=3)
    return Answer.of(result)
