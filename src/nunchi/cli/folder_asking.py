"""A data folder asked as a server is: the same endpoints, without the way over HTTP. Loads the engine: import it late.

Invariant: the folder is only read, and what is answered is what was acknowledged before the command began.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from nunchi import open as open_folder
from nunchi.cli.asking import QueryRefusedError, tell
from nunchi.kit.clock import SystemClock
from nunchi.query.runner import QueryRunner
from nunchi.web.prometheus_api.envelope import Answer
from nunchi.web.prometheus_api.errors import ApiError
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.query import QueryEndpoints
from nunchi.web.prometheus_api.reading import Reading
from nunchi.web.prometheus_api.series import SeriesEndpoints

Endpoint = Callable[[Parameters], Awaitable[Answer]]


class FolderAsker:
    """Implements `Asker` over a data folder, which a server may be writing."""

    def __init__(self, path: Path, features: Sequence[str] = ()) -> None:
        self._opened = open_folder(path, features=features)

    def ask(self, path: str, parameters: dict[str, Any], method: str = "POST") -> Any:
        """See `Asker.ask`."""
        del method  # nothing is sent
        pairs = [(name, str(text)) for name, given in parameters.items() for text in _texts(given)]
        try:
            answer = asyncio.run(self._answer(path, pairs))
        except ApiError as error:
            raise QueryRefusedError(f"{error.error_type}: {error}") from None
        tell((*answer.warnings, *answer.infos))
        return json.loads(answer.data if isinstance(answer.data, bytes) else msgspec.json.encode(answer.data))

    async def _answer(self, path: str, pairs: list[tuple[str, str]]) -> Answer:
        clock = SystemClock()
        runner = QueryRunner(self._opened.engine, clock)
        reading = Reading(runner, self._opened.store.querier)
        queries, series = (
            QueryEndpoints(self._opened.store, reading, clock.now_ms),
            SeriesEndpoints(self._opened.store, reading),
        )
        endpoints: dict[str, Endpoint] = {
            "query": queries.query,
            "query_range": queries.query_range,
            "series": series.series,
            "labels": series.label_names,
        }
        try:
            if path in endpoints:
                return await endpoints[path](Parameters(pairs))
            name = path.removeprefix("label/").removesuffix("/values")
            return await series.label_values(Parameters(pairs, {"name": unquote(name)}))
        finally:
            await runner.close()


def _texts(given: Any) -> Sequence[Any]:
    if given is None:
        return ()
    return given if isinstance(given, tuple | list) else (given,)
