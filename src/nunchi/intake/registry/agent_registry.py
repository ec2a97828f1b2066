"""The agents heard of: takes their rounds, says when they are up, and ends their series when they fall silent.

`up` is 1 with every live round; after three missed intervals of the agent, by the server's clock, it is 0 and all series of
the agent are marked stale. Rounds from the backlog fill in samples and never rewrite `up`.
Invariant: a sample counts as taken, and is acknowledged, only after it was committed; sent again, it is known as a duplicate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from nunchi.admission.door import Door
from nunchi.intake.registry.agent_book import Owner
from nunchi.intake.registry.errors import AgentConflictError, NotStoredError
from nunchi.intake.registry.health import Health, HealthState
from nunchi.intake.registry.replacing_series import ReplacingSeries
from nunchi.intake.registry.sequence_memory import NoMemory, SequenceMemory
from nunchi.intake.registry.sequences import SequenceRanges
from nunchi.intake.registry.series import HOST_JOB, PushedSeries, Row, is_refused
from nunchi.intake.registry.status import AgentStatus
from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Reason
from nunchi.model.staleness import STALE
from nunchi.storage.contracts import FUTURE_MS_MAX, AppendResult
from nunchi.wire.payload import Payload, PayloadReader, PayloadRound, Sender

SOURCE = "push"
LOOK_SECONDS = 0.5
MISSED_INTERVALS_MAX = 3
DEFAULT_INTERVAL_MS = 10_000
FORGOTTEN_SECONDS = 24 * 3600.0
AGENTS_MAX = 100_000
EPOCHS_MAX = 8


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of a payload's samples."""

    accepted: int
    duplicate: int
    rejected: dict[str, int]


@dataclass(slots=True, eq=False)
class _Agent:
    """One agent, live or not. `heard_at` is by the monotonic clock; `epoch_round_ms` is the first round of its epoch."""

    sender: Sender
    series: PushedSeries
    address: str
    first_heard_ms: int
    replacing: ReplacingSeries | None = None
    reader: PayloadReader = field(default_factory=PayloadReader)
    epochs: dict[int, SequenceRanges] = field(default_factory=dict)
    is_remembered: bool = False
    epoch_round_ms: int = 0
    interval_ms: int = DEFAULT_INTERVAL_MS
    heard_at: float = 0.0
    last_heard_ms: int = 0
    last_up_ms: int = 0
    down_due_at: float = 0.0
    lag_seconds: float = 0.0
    is_up: bool = False
    health: Health = field(default_factory=lambda: Health(MISSED_INTERVALS_MAX))
    samples: int = 0
    duplicates: int = 0
    conflict: str = ""
    is_forgotten: bool = False  # nobody wants to see it; it goes when it is down, and is there again when it is heard


class AgentRegistry:
    """A part: the agents, and the clock that watches them."""

    name = "registry"

    def __init__(
        self, door: Door, clock: Clock, telemetry: Telemetry, log: Logger, memory: SequenceMemory | None = None
    ) -> None:
        """`memory` keeps what was taken over restarts, for a store that keeps samples over them."""
        self._door = door
        self._memory = memory or NoMemory()
        self._clock = clock
        self._log = log
        self._agents: dict[str, _Agent] = {}
        self._by_name: dict[str, _Agent] = {}
        self._duplicates = telemetry.counter(
            "nunchi_push_samples_duplicate_total", "Samples that agents sent again after a lost acknowledgement."
        )
        self._conflicts = telemetry.counter(
            "nunchi_push_conflicts_total", "Pushes refused because another live agent has the same id."
        )
        self._gauge = telemetry.gauge("nunchi_agents", "Agents heard of, by whether they are up.", "state")

    # Pushes.

    def reader(self, agent_id: str) -> PayloadReader:
        """The reader that knows an agent's layouts; a new one for who was not heard of."""
        agent = self._agents.get(agent_id)
        return agent.reader if agent else PayloadReader()

    def receive(
        self, payload: Payload, address: str, reader: PayloadReader | None = None, owner: Owner | None = None
    ) -> Acknowledgement:
        """Store a payload. Raises `AgentConflictError` or `NotStoredError`, and then nothing of it counts as taken.

        `owner` is who sent it, by its key: that, not what the payload says, decides id and name.
        """
        if owner is not None:
            sender = replace(payload.sender, agent_id=owner.agent_id, name=owner.name)
            payload = replace(payload, sender=sender)
        agent = self._lookup(payload, address, reader)
        self._remember(agent)
        ranges = agent.epochs.get(payload.sender.epoch) or SequenceRanges()
        taken = ranges.taken(payload.first_sequence, payload.samples)
        is_news = payload.sender.epoch == agent.sender.epoch
        is_news &= payload.first_sequence + payload.samples > ranges.high_water
        rows, invalid = self._rows(agent, payload, taken, is_news=is_news)
        epochs = _with_taken(agent.epochs, payload)
        marks = self._memory.marks(payload.sender.agent_id, epochs, is_whole=agent.is_remembered)
        try:
            result = self._append(agent, rows, payload, marks)
        except WorldError as error:
            raise NotStoredError(f"not stored: {error}") from error
        if result.kept:
            raise NotStoredError(f"{result.kept} samples cannot be stored now")
        self._settle(agent, payload, rows)
        agent.epochs = epochs
        return self._acknowledge(agent, payload, result, int(taken.sum()), invalid)

    def _append(self, agent: _Agent, rows: Sequence[Row], payload: Payload, marks: Mapping[str, bytes]) -> AppendResult:
        """Store rows, those that replace in a batch of their own, and the marks that say so, in one commit."""
        metadata, histograms = payload.metadata, payload.histograms
        plain, replacing = [row for row in rows if not row.replaces], [row for row in rows if row.replaces]
        batches = agent.series.batches(plain, metadata if plain else {}, histograms)
        if replacing:
            assert agent.replacing is not None
            batches.append(agent.replacing.batch(replacing, {} if plain else metadata, histograms))
        return self._door.append(SOURCE, *batches, marks=marks)

    def _remember(self, agent: _Agent) -> None:
        """Learn what the store knows of an agent's numbers, which while it loads may be later than the agent is heard."""
        if agent.is_remembered:
            return
        known = self._memory.load(agent.sender.agent_id)
        if known is not None:
            agent.is_remembered = True
            for epoch, ranges in known.items():
                agent.epochs[epoch] = ranges.joined(agent.epochs.get(epoch, SequenceRanges()))

    def _lookup(self, payload: Payload, address: str, reader: PayloadReader | None) -> _Agent:
        """The agent that a payload is from; new, or in a new epoch, where nothing speaks against it."""
        sender, agent = payload.sender, self._agents.get(payload.sender.agent_id)
        self._check_name(sender, address)
        if agent is None:
            if len(self._agents) >= AGENTS_MAX:
                raise NotStoredError(f"the server knows {AGENTS_MAX} agents already")
            agent = _Agent(sender, PushedSeries(sender.name), address, self._clock.now_ms())
            agent.reader = reader or agent.reader
            self._agents[sender.agent_id] = agent
            self._log.info("a new agent is heard", agent=sender.name, id=sender.agent_id, address=address)
        elif sender.epoch != agent.sender.epoch:
            self._check_epoch(agent, payload, address)
        if sender.epoch >= agent.sender.epoch:
            self._renew(agent, payload, address)
        return agent

    def _check_name(self, sender: Sender, address: str) -> None:
        """The name is what tells series apart: two live agents cannot share one."""
        other = self._by_name.get(sender.name)
        if other is not None and other.is_up and other.sender.agent_id != sender.agent_id:
            self._refuse_second(
                other, f"{sender.name} at {address}", f"another live agent, at {other.address}, is called {sender.name}",
                "give one of them another name in its settings",
            )  # fmt: skip

    def _refuse_second(self, first: _Agent, second: str, what: str, cure: str) -> NoReturn:
        if first.conflict != second:
            self._log.warning("two live agents cannot be told apart; the second is refused", second=second, reason=what)
        first.conflict = second
        self._conflicts.add()
        raise AgentConflictError(f"{what}: {cure}")

    def _check_epoch(self, agent: _Agent, payload: Payload, address: str) -> None:
        """A restart, or the backlog of one, is well; two processes alive at once under one id are not."""
        sender = payload.sender
        if sender.epoch > agent.sender.epoch:
            is_elsewhere = address != agent.address or sender.name != agent.sender.name
            is_conflict = agent.is_up and is_elsewhere
        else:
            newest_ms = max(live_times(payload), default=0)
            is_conflict = newest_ms > agent.epoch_round_ms
        if is_conflict:
            second = f"{sender.name} at {address}"
            self._refuse_second(
                agent, second,
                f"the agent {agent.sender.name} at {agent.address} is live and has the id {sender.agent_id} too",
                f"remove the agent-id file in the state folder of {second} and restart it",
            )  # fmt: skip

    def _renew(self, agent: _Agent, payload: Payload, address: str) -> None:
        sender = payload.sender
        if sender.epoch > agent.sender.epoch or not agent.epoch_round_ms:
            agent.epoch_round_ms = min(live_times(payload), default=self._clock.now_ms())
            agent.conflict = ""
        if sender.name != agent.sender.name:
            self._write(agent, agent.series.down_row(self._moment_ms(agent), STALE))
            agent.series, agent.last_up_ms, agent.replacing = PushedSeries(sender.name), 0, None
            self._by_name.pop(agent.sender.name, None)
        agent.sender, agent.address = sender, address
        agent.interval_ms = payload.interval_ms or DEFAULT_INTERVAL_MS

    def _rows(
        self, agent: _Agent, payload: Payload, taken: NDArray[np.bool_], *, is_news: bool
    ) -> tuple[list[Row], int]:
        """The rows to store and how many samples have labels that cannot be stored. Numbers that were taken are left out.

        News are told from backlog by their numbers, not their timestamps: clocks are set back.
        """
        rows: list[Row] = []
        invalid = 0
        if agent.replacing is not None:
            agent.replacing.prepare()
        future_ms = self._clock.now_ms() + FUTURE_MS_MAX
        has_duplicates = bool(taken.any())
        for begin, found in sorted(_numbered(payload), key=lambda numbered: numbered[1].timestamp_ms):
            columns = self._columns(agent, found)[found.columns]
            values, histogram_of = found.values, found.histogram_of
            refused = is_refused(columns)
            keep = ~refused & ~taken[begin : begin + len(values)] if has_duplicates else ~refused
            invalid += int(np.count_nonzero(refused))
            if not keep.all():
                columns, values = columns[keep], values[keep]
                histogram_of = None if histogram_of is None else histogram_of[keep]
            if not len(columns):
                continue
            row = Row(found.timestamp_ms, columns, values, replaces=found.replaces, histogram_of=histogram_of)
            if is_news and not found.replaces and found.timestamp_ms <= future_ms:
                row = agent.series.live_row(row, agent.interval_ms, with_up=found.timestamp_ms != agent.last_up_ms)
            rows.append(row)
        return rows, invalid

    @staticmethod
    def _columns(agent: _Agent, found: PayloadRound) -> NDArray[np.int32]:
        if not found.replaces:
            return agent.series.columns(found.layout)
        if agent.replacing is None:
            agent.replacing = ReplacingSeries(agent.sender.name)
        return agent.replacing.columns(found.layout)

    def _settle(self, agent: _Agent, payload: Payload, rows: Sequence[Row]) -> None:
        now_ms = self._clock.now_ms()
        agent.series.settle(rows)
        agent.samples += payload.samples
        live = [row.timestamp_ms for row in rows if row.is_live]
        agent.last_heard_ms = now_ms
        agent.is_forgotten = False
        if live:
            newest_ms = max(live)
            agent.last_up_ms = max(agent.last_up_ms, newest_ms)
            agent.lag_seconds = max(0.0, (now_ms - newest_ms) / 1000)
            agent.heard_at = self._clock.monotonic()
            agent.health.hear()
            self._by_name[agent.sender.name] = agent
            if not agent.is_up:
                agent.is_up = True
                self._log.info("agent is up", agent=agent.sender.name, address=agent.address)

    def _acknowledge(
        self, agent: _Agent, payload: Payload, result: AppendResult, duplicates: int, invalid: int
    ) -> Acknowledgement:
        agent.duplicates += duplicates
        self._duplicates.add(duplicates)
        self._door.count_rejected(SOURCE, invalid, Reason.INVALID_LABELS)
        rejected = {reason.value: count for reason, count in result.rejected.items()}
        if invalid:
            rejected[Reason.INVALID_LABELS.value] = rejected.get(Reason.INVALID_LABELS.value, 0) + invalid
        return Acknowledgement(payload.samples - duplicates - sum(rejected.values()), duplicates, rejected)

    # Watching.

    async def start(self) -> None:
        """Nothing to take."""

    async def run(self) -> None:
        """Look for agents that have fallen silent."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self.look()
            self._memory.tend()

    async def stop(self) -> None:
        """Nothing to give back: agents will be heard again when the server is."""

    def look(self) -> None:
        """Write `up` 0 and markers for agents whose rounds are overdue; forget those silent for a day."""
        now = self._clock.monotonic()
        for agent_id, agent in list(self._agents.items()):
            silent_seconds = now - agent.heard_at
            agent.health.wait(silent_seconds / (agent.interval_ms / 1000))
            if agent.is_up and agent.health.state is HealthState.UNHEALTHY:
                self._put_down(agent, silent_seconds)
            elif not agent.is_up and (agent.is_forgotten or silent_seconds > FORGOTTEN_SECONDS):
                self._write(agent, agent.series.down_row(self._moment_ms(agent), STALE))
                del self._agents[agent_id]
                if self._by_name.get(agent.sender.name) is agent:
                    del self._by_name[agent.sender.name]
            elif not agent.is_up and agent.down_due_at and now >= agent.down_due_at:
                agent.down_due_at += agent.interval_ms / 1000
                self._write(agent, agent.series.down_row(self._moment_ms(agent)))
        up = sum(agent.is_up for agent in self._agents.values())
        self._gauge.set(up, "up")
        self._gauge.set(len(self._agents) - up, "down")

    def _put_down(self, agent: _Agent, silent_seconds: float) -> None:
        row = agent.series.down_row(self._moment_ms(agent))
        if self._write(agent, row):
            agent.series.settle_down(row)
            agent.is_up = False
            agent.down_due_at = self._clock.monotonic() + agent.interval_ms / 1000
            self._log.warning(
                "agent is silent: its series are marked stale", agent=agent.sender.name, seconds=silent_seconds
            )

    def _moment_ms(self, agent: _Agent) -> int:
        """Now, unless the agent's clock was ahead of ours: its markers must come after its samples."""
        return max(self._clock.now_ms(), agent.series.newest_ms + 1, agent.last_up_ms + 1)

    def _write(self, agent: _Agent, row: Row) -> bool:
        try:
            self._door.append(SOURCE, agent.series.batch([row]))
        except WorldError as error:
            self._log.warning("up of an agent not stored", agent=agent.sender.name, error=error)
            return False
        agent.last_up_ms = row.timestamp_ms
        return True

    # What pages and API show.

    def forget(self, agent_id: str) -> None:
        """Show an agent no more, unless it is heard again. What of its numbers was taken stays known."""
        if agent_id in self._agents:
            self._agents[agent_id].is_forgotten = True

    def is_known(self, agent_id: str) -> bool:
        """Whether this agent was heard of."""
        return agent_id in self._agents and not self._agents[agent_id].is_forgotten

    def agents(self) -> list[AgentStatus]:
        """Every agent heard of and not forgotten, by name."""
        found = [
            AgentStatus(
                agent_id=agent.sender.agent_id,
                job=HOST_JOB,
                instance=agent.sender.name,
                version=agent.sender.version,
                address=agent.address,
                epoch=agent.sender.epoch,
                is_up=agent.is_up,
                first_heard_ms=agent.first_heard_ms,
                last_heard_ms=agent.last_heard_ms,
                last_round_ms=agent.series.newest_ms,
                lag_seconds=agent.lag_seconds,
                interval_seconds=agent.interval_ms / 1000,
                samples=agent.samples,
                duplicates=agent.duplicates,
                conflict=agent.conflict,
                health=agent.health.state,
                misses=agent.health.misses,
            )
            for agent in self._agents.values()
            if not agent.is_forgotten
        ]
        return sorted(found, key=lambda status: (status.instance, status.agent_id))


def _with_taken(epochs: Mapping[int, SequenceRanges], payload: Payload) -> dict[int, SequenceRanges]:
    """What is taken once a payload is; the oldest epochs are forgotten."""
    own = payload.sender.epoch
    taken = SequenceRanges.of(epochs[own].spans() if own in epochs else ())
    taken.take(payload.first_sequence, payload.samples)
    after = {**epochs, own: taken}
    return {epoch: after[epoch] for epoch in sorted(after)[-EPOCHS_MAX:]}


def live_times(payload: Payload) -> list[int]:
    """When the rounds of a payload were that say how things are."""
    return [one.timestamp_ms for one in payload.rounds if not one.replaces]


def _numbered(payload: Payload) -> list[tuple[int, PayloadRound]]:
    """Rounds with the position of their first sample in the payload."""
    numbered = []
    begin = 0
    for one in payload.rounds:
        numbered.append((begin, one))
        begin += len(one.values)
    return numbered
