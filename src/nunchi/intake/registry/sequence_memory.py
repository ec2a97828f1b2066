"""Which numbered samples were taken, over restarts of the server.

A mark must never outlive the samples it speaks for, for then they would be taken for duplicates and lost; nor be lost without
them, for then they would be judged twice. So marks are committed with the samples, by the store that keeps both.
Until the store has loaded its marks, an agent's stand under another key a start, and all together are what was taken.
Invariant: every mark that is loaded speaks for samples that are stored.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from nunchi.intake.registry.sequences import SequenceRanges
from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import Logger
from nunchi.storage.contracts import Store
from nunchi.storage.errors import NotLoadedError

KEY = "sequences/"
EARLY_KEY = "early-sequences/"
RETENTION_MS = 14 * 24 * 3600 * 1000
TEND_SECONDS = 3600.0
NOTHING: Mapping[str, bytes] = {}


class SequenceMemory(Protocol):
    """Where marks are kept."""

    def load(self, agent_id: str) -> dict[int, SequenceRanges] | None:
        """What was taken of an agent, by epoch; None while that is not known."""
        ...

    def marks(self, agent_id: str, epochs: Mapping[int, SequenceRanges], *, is_whole: bool) -> Mapping[str, bytes]:
        """What to commit with samples of an agent, so that `load` gives `epochs`; `is_whole`: they contain what it gave."""
        ...

    def tend(self) -> None:
        """Forget what is too old; called often."""
        ...


class NoMemory:
    """For a store that forgets samples with the process: marks must be forgotten with them."""

    def load(self, _agent_id: str) -> dict[int, SequenceRanges] | None:
        """See `SequenceMemory.load`."""
        return {}

    def marks(self, _agent_id: str, _epochs: Mapping[int, SequenceRanges], *, is_whole: bool) -> Mapping[str, bytes]:
        """See `SequenceMemory.marks`."""
        del is_whole
        return NOTHING

    def tend(self) -> None:
        """See `SequenceMemory.tend`."""


class SequenceMark(msgspec.Struct, frozen=True, array_like=True):
    """The value of a mark: when it was made, and the spans of each epoch."""

    at_ms: int
    epochs: dict[int, list[tuple[int, int]]]


class StoredSequences:
    """Marks in the store, with the samples that they speak for."""

    def __init__(self, store: Store, clock: Clock, log: Logger) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._tended_at = -TEND_SECONDS
        self._start = f"/{clock.now_ms()}"
        self._unread: dict[str, list[bytes]] = {}
        self._read: set[str] | None = None

    def load(self, agent_id: str) -> dict[int, SequenceRanges] | None:
        """See `SequenceMemory.load`."""
        if self._read is None or agent_id in self._read:
            try:
                self._gather()
            except NotLoadedError:
                return None
        assert self._read is not None
        self._read.add(agent_id)
        found: dict[int, SequenceRanges] = {}
        for value in self._unread.pop(agent_id, ()):
            for epoch, spans in self._decode(agent_id, value).epochs.items():
                found[epoch] = SequenceRanges.of(spans).joined(found.get(epoch, SequenceRanges()))
        return found

    def _gather(self) -> None:
        """The values of all agents' marks. An agent's are newer only once it was loaded, so that once is enough for all."""
        self._unread = {}
        for key, value in self._store.marks().items():
            if key.startswith((KEY, EARLY_KEY)):
                self._unread.setdefault(key.partition("/")[2].rpartition("/")[0], []).append(value)
        self._read = set()

    def marks(self, agent_id: str, epochs: Mapping[int, SequenceRanges], *, is_whole: bool) -> Mapping[str, bytes]:
        """See `SequenceMemory.marks`."""
        spans = {epoch: ranges.spans() for epoch, ranges in epochs.items()}
        value = msgspec.msgpack.encode(SequenceMark(self._clock.now_ms(), spans))
        return {f"{KEY}{agent_id}/" if is_whole else f"{EARLY_KEY}{agent_id}{self._start}": value}

    def tend(self) -> None:
        """See `SequenceMemory.tend`."""
        now = self._clock.monotonic()
        if now - self._tended_at < TEND_SECONDS:
            return
        try:
            oldest_ms = self._clock.now_ms() - RETENTION_MS
            known = self._store.marks()
            own = [key for key in known if key.startswith((KEY, EARLY_KEY))]
            appender = self._store.appender()
            for key in own:
                if self._decode(key, known[key]).at_ms < oldest_ms:
                    appender.mark(key, b"")
            appender.commit()
        except WorldError as error:
            self._log.debug("old marks of agents stay for now", error=error)
            return
        self._tended_at = now

    def _decode(self, agent: str, value: bytes) -> SequenceMark:
        try:
            return msgspec.msgpack.decode(value, type=SequenceMark)
        except msgspec.MsgspecError as error:
            self._log.error("marks of an agent are damaged: its backlog is taken again", agent=agent, error=error)
            return SequenceMark(0, {})
