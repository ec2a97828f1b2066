"""One agent's session of packs on the server's side: its dictionary, the rounds that are coming in, its bases, its losses.

A round is stored when all of it is there, and not before: half a round is worth nothing to an agent that will deliver it whole
by the other way. Invariant: a round is handed on at most once, and answered as stored only after it was.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nunchi.intake.receive.pack_dictionary import PackDictionary
from nunchi.intake.receive.pack_histograms import PartColumns
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.intake.registry.errors import AgentConflictError, NotStoredError
from nunchi.kit.clock import Clock
from nunchi.model.metadata import Metadata
from nunchi.model.staleness import ABSENT, NORMAL_NAN_BITS, STALE_BITS
from nunchi.wire.errors import WireError
from nunchi.wire.kernels.pack import DamagedCellsError, decode_cells, spread
from nunchi.wire.pack import DICTIONARIES_MAX, Answer, Answered, Data, Dictionary, Stats
from nunchi.wire.pack_seal import SessionKeys
from nunchi.wire.pack_window import PackWindow
from nunchi.wire.payload import Payload, PayloadRound, Sender

ROUNDS_OPEN_MAX = 4
ROUNDS_DONE_MAX = 64
BASES_MAX = 8
LINGER_SECONDS = 0.3
EDGES_KEPT = 2  # a pack of a round is given up when the round after the next one has ended

Store = Callable[[Payload, str], Acknowledgement]
NO_BASE: NDArray[np.float64] = np.zeros(0)


@dataclass(slots=True, eq=False)
class OpenRound:
    """What has come of a round. `pieces` are by their first cell."""

    data: Data
    sent_ms: int
    pieces: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    cells: int = 0
    highest_column: int = -1
    ended_at: float = 0.0  # when its stats came, 0 while they have not

    @property
    def is_whole(self) -> bool:
        """Whether every cell is there."""
        return self.cells == self.data.total


class PackSession:
    """What the server knows of one session. Answers are returned, never sent from here."""

    def __init__(
        self, sender: Sender, interval_ms: int, keys: SessionKeys, store: Store, clock: Clock, telemetry: PackTelemetry
    ) -> None:
        self.sender = sender
        self.interval_ms = interval_ms
        self.keys = keys
        self.window = PackWindow()
        self.heard_at = clock.monotonic()
        self.next_sequence = 0
        self.stats: Stats | None = None
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._dictionaries: OrderedDict[int, PackDictionary] = OrderedDict()
        self._newest_dictionary = 0
        self._metadata: dict[str, Metadata] = {}
        self._open: OrderedDict[int, OpenRound] = OrderedDict()
        self._done: OrderedDict[int, Answer] = OrderedDict()
        self._bases: OrderedDict[int, tuple[int, NDArray[np.float64]]] = OrderedDict()  # with their dictionaries
        self._edges: list[int] = []

    # What comes.

    def take_dictionary(self, found: Dictionary, address: str, *, of_parts: bool = False) -> list[Answer]:
        """Series, or parts of histograms: those that follow the ones known are taken, the others wait to be sent again."""
        dictionary = self._dictionary(found.dictionary, of_parts=of_parts)
        if dictionary is None:
            return []
        self._metadata.update(found.metadata)
        known = len(dictionary)
        if found.first_column <= known < found.first_column + len(found.keys):
            try:
                dictionary.add(found.keys[known - found.first_column :])
            except WireError:
                del self._dictionaries[found.dictionary]
                raise
        answers = (self._try_store(number, address) for number, one in list(self._open.items()) if one.is_whole)
        return [answer for answer in answers if answer is not None]

    def take_data(self, found: Data, address: str, *, of_parts: bool = False) -> list[Answer]:
        """Cells of a round; those of histograms are parts."""
        if found.round in self._done:
            return [self._done[found.round]]
        if self._dictionary(found.dictionary, of_parts=of_parts) is None:
            return [self._answer(found.round, Answered.SERIES_UNKNOWN, found.dictionary)]
        base = NO_BASE
        if found.base_round:
            known = self._bases.get(found.base_round)
            if known is None or known[0] != found.dictionary:
                self._telemetry.unusable.add(1, "base_unknown")
                return [self._answer(found.round, Answered.BASE_UNKNOWN, found.dictionary)]
            base = known[1]
        one = self._open_round(found)
        if found.first_cell in one.pieces or not is_same_round(found, one.data):
            return []
        try:
            columns, values = decode_cells(found.body, base, found.cells)
        except DamagedCellsError as error:
            raise WireError(f"pack: {error}") from error
        one.pieces[found.first_cell] = columns, values
        one.cells += found.cells
        one.highest_column = max(one.highest_column, int(np.frombuffer(columns, np.int32).max()))
        if not one.is_whole:
            return []
        answer = self._try_store(found.round, address)
        return [] if answer is None else [answer]

    def take_stats(self, found: Stats, address: str) -> list[Answer]:
        """The end of a round as the agent sees it: losses become exact, and what is not there may only be late now."""
        self.stats = found
        self.interval_ms = found.interval_ms or self.interval_ms
        self.window.expect(found.packs)
        self._edges.append(found.packs)
        if len(self._edges) > EDGES_KEPT:
            self.window.close_below(self._edges.pop(0))
        if found.round in self._done:
            return [self._done[found.round]]
        one = self._open.get(found.round)
        if one is None:
            return [self._answer(found.round, Answered.INCOMPLETE, 0)]
        one.ended_at, one.sent_ms = self._clock.monotonic(), found.sent_ms
        if one.is_whole:
            answer = self._try_store(found.round, address)
            return [] if answer is None else [answer]
        return []

    def overdue(self) -> list[Answer]:
        """Rounds whose end came a while ago and that are still not whole: the agent delivers them by the other way."""
        now = self._clock.monotonic()
        answers = []
        for number, one in list(self._open.items()):
            if one.ended_at and now - one.ended_at >= LINGER_SECONDS:
                del self._open[number]
                self._telemetry.unusable.add(len(one.pieces), "incomplete")
                answers.append(self._answer(number, Answered.INCOMPLETE, one.data.dictionary))
        return answers

    # What is kept.

    def _dictionary(self, number: int, *, of_parts: bool) -> PackDictionary | None:
        """A dictionary, begun where it is newer than all there were; None for one that was forgotten. Raises WireError."""
        known = self._dictionaries.get(number)
        if known is None and number > self._newest_dictionary:
            self._newest_dictionary = number
            known = self._dictionaries[number] = PackDictionary(PartColumns() if of_parts else None)
            while len(self._dictionaries) > DICTIONARIES_MAX:
                self._dictionaries.popitem(last=False)
        if known is not None:
            if of_parts is (known.parts is None):
                raise WireError("pack: a dictionary is of series or of parts, not of both")
            self._dictionaries.move_to_end(number)
        return known

    def _open_round(self, found: Data) -> OpenRound:
        one = self._open.get(found.round)
        if one is None:
            one = self._open[found.round] = OpenRound(found, 0)
            while len(self._open) > ROUNDS_OPEN_MAX:
                _, given_up = self._open.popitem(last=False)
                self._telemetry.unusable.add(len(given_up.pieces), "incomplete")
        return one

    def _try_store(self, number: int, address: str) -> Answer | None:
        one = self._open[number]
        dictionary = self._dictionaries.get(one.data.dictionary)
        if dictionary is None or one.highest_column >= len(dictionary):
            return self._answer(number, Answered.SERIES_UNKNOWN, one.data.dictionary)
        del self._open[number]
        columns, values = joined(one)
        data = one.data
        if len(columns) != data.total or len(np.unique(columns)) < len(columns):
            return self._answer(number, Answered.REFUSED, data.dictionary)
        metadata, self._metadata = self._metadata, {}
        try:
            payload = self._payload(data, dictionary, columns, values, metadata)
            done = self._store(payload, address)
        except (NotStoredError, AgentConflictError, WireError):
            self._metadata = {**metadata, **self._metadata}
            self._telemetry.rounds.add(1, "refused")
            return self._answer(number, Answered.REFUSED, data.dictionary)
        self._telemetry.rounds.add(1, "stored")
        self._telemetry.samples.add(payload.samples)
        self._keep_base(number, data.dictionary, columns, values)
        answer = self._answer(number, Answered.STORED, data.dictionary, done)
        self._done[number] = answer
        while len(self._done) > ROUNDS_DONE_MAX:
            self._done.popitem(last=False)
        return answer

    def _payload(
        self, data: Data, dictionary: PackDictionary, columns: NDArray[np.int32], values: NDArray[np.float64],
        metadata: dict[str, Metadata],
    ) -> Payload:  # fmt: skip
        """A whole round as if it had been pushed. Raises WireError where its parts are no histograms."""
        histograms, histogram_of = None, None
        if dictionary.parts is None:
            values = without_markers(values)
        else:
            columns, histograms = dictionary.parts.assemble(columns, values)
            histogram_of = np.arange(len(columns), dtype=np.int32)
            values = np.full(len(columns), ABSENT)
        layout = dictionary.current_layout()
        row = PayloadRound(data.timestamp_ms, layout, columns, values, data.replaces, histogram_of)
        return Payload(
            self.sender, data.first_sequence, len(columns), self.interval_ms, (row,), metadata, histograms
        )  # fmt: skip

    def _keep_base(self, number: int, dictionary: int, columns: NDArray[np.int32], values: NDArray[np.float64]) -> None:
        self._bases[number] = dictionary, np.frombuffer(spread(columns, values), np.float64)
        while len(self._bases) > BASES_MAX:
            self._bases.popitem(last=False)

    def _answer(self, number: int, answered: Answered, dictionary: int, done: Acknowledgement | None = None) -> Answer:
        known = self._dictionaries.get(dictionary)
        rejected: Mapping[str, int] = done.rejected if done else {}
        return Answer(
            number, answered, done.accepted if done else 0, done.duplicate if done else 0, dictionary,
            0 if known is None else len(known), self.stats.sent_ms if self.stats else 0, self._clock.now_ms(), rejected,
        )  # fmt: skip


def is_same_round(one: Data, other: Data) -> bool:
    """Whether two packs of one number are of one round."""
    return (
        (one.dictionary, one.timestamp_ms, one.first_sequence, one.total, one.replaces)
        == (other.dictionary, other.timestamp_ms, other.first_sequence, other.total, other.replaces)
    )  # fmt: skip


def joined(one: OpenRound) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All cells of a round in their order; nothing where the pieces do not fit together."""
    pieces, cell = [], 0
    for first in sorted(one.pieces):
        if first != cell:
            return np.empty(0, np.int32), np.empty(0)
        pieces.append(one.pieces[first])
        cell += len(one.pieces[first][0]) // 4
    columns = np.frombuffer(b"".join(piece[0] for piece in pieces), np.int32)
    return columns, np.frombuffer(b"".join(piece[1] for piece in pieces), np.float64)


def without_markers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, of whose NaNs the staleness marker keeps its bits: markers of ours never come from outside."""
    foreign = np.isnan(values) & (values.view(np.uint64) != STALE_BITS)
    if not foreign.any():
        return values
    cleaned = values.copy()
    cleaned.view(np.uint64)[foreign] = NORMAL_NAN_BITS
    return cleaned
