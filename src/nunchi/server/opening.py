"""`nunchi.open`: PromQL over a data folder from Python, without a server or beside a running one.

Invariant: nothing in the folder is changed, and what was read once stays as it was: whoever wants newer samples opens again.
"""

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.durations import parse_duration
from nunchi.kit.errors import InputError
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.frames.answer import Answer
from nunchi.query.functions import PythonFunction
from nunchi.query.values import QueryResult
from nunchi.server.data_folder.folder import look
from nunchi.server.features import DELAYED_NAMES, split_features
from nunchi.server.language import parser_settings
from nunchi.server.world import World
from nunchi.storage.contracts import Store

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
    return OpenedFolder(look(Path(path), world), Engine(settings), world.clock)


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
