"""Which numbered samples were taken, over restarts of the server.

A mark must never outlive the samples it speaks for: then they would be taken for duplicates and lost. So marks are
written after the samples were committed, never before; what a crash takes of them costs duplicates, which the store
knows by their bits. Invariant: every mark that is loaded speaks for samples whose commit returned before it was saved.
"""

from typing import Protocol

import msgspec

from nunchi.intake.registry.sequences import SequenceRanges
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import Logger
from nunchi.storage.records import Records

KIND = "sequences"
RETENTION_MS = 14 * 24 * 3600 * 1000


class SequenceMemory(Protocol):
    """Where marks are kept; a store that writes them with the samples implements it too."""

    def load(self, agent_id: str) -> dict[int, SequenceRanges]:
        """The marks of an agent, by epoch."""
        ...

    def note(self, agent_id: str, epochs: dict[int, SequenceRanges]) -> None:
        """Samples were committed, and these are the marks now."""
        ...

    def save(self) -> None:
        """Write what was noted."""
        ...


class NoMemory:
    """For a store that forgets samples with the process: marks must be forgotten with them."""

    def load(self, _agent_id: str) -> dict[int, SequenceRanges]:
        """See `SequenceMemory.load`."""
        return {}

    def note(self, _agent_id: str, _epochs: dict[int, SequenceRanges]) -> None:
        """See `SequenceMemory.note`."""

    def save(self) -> None:
        """See `SequenceMemory.save`."""


class RecordedSequences:
    """Marks in the server's records, written at most as often as `save` is called."""

    def __init__(self, records: Records, log: Logger) -> None:
        self._records = records
        self._log = log
        self._noted: dict[str, dict[int, SequenceRanges]] = {}
        self._is_failing = False

    def load(self, agent_id: str) -> dict[int, SequenceRanges]:
        """See `SequenceMemory.load`."""
        body = self._records.find(KIND, agent_id)
        try:
            spans = msgspec.json.decode(body or b"{}", type=dict[str, list[tuple[int, int]]])
        except msgspec.MsgspecError as error:
            self._log.error("marks of an agent are damaged: its backlog is taken again", id=agent_id, error=error)
            return {}
        return {int(epoch): SequenceRanges.of(own) for epoch, own in spans.items()}

    def note(self, agent_id: str, epochs: dict[int, SequenceRanges]) -> None:
        """See `SequenceMemory.note`."""
        self._noted[agent_id] = epochs

    def save(self) -> None:
        """See `SequenceMemory.save`; what cannot be written now is tried again."""
        try:
            while self._noted:
                agent_id, epochs = next(iter(self._noted.items()))
                spans = {str(epoch): ranges.spans() for epoch, ranges in epochs.items()}
                self._records.put(KIND, agent_id, msgspec.json.encode(spans))
                del self._noted[agent_id]
        except WorldError as error:
            if not self._is_failing:
                self._log.warning("marks of agents are not written, which is tried again and again", error=error)
            self._is_failing = True
        else:
            if self._is_failing:
                self._log.info("marks of agents are written again")
            self._is_failing = False
