"""When each check instance runs: its own interval on a common grid, a deadline, and what happens when it is overrun.

All instances due at the same moment make one round, which is handed to the sink when the last of them has ended or has
missed its deadline. Invariant: an instance has at most one run outstanding; while one hangs, the instance is shown as stuck
and not run again; a run begins after the rounds that ended before it were handed over. What a check raises ends here.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nunchi.agent.check import Check, Context
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.emission import Emission
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import Root
from nunchi.agent.threads import Call
from nunchi.kit.clock import Clock
from nunchi.kit.errors import words_of
from nunchi.kit.logs import Logger
from nunchi.kit.waiting import wait_event


class Runner(Protocol):
    """Where runs happen; see `threads.ThreadRunner`."""

    def run(self, call: Call) -> asyncio.Future[None]:
        """Start a call."""
        ...

    def close(self) -> None:
        """Start no more."""
        ...


IDLE_SECONDS_MAX = 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one instance has to say in one round. A run that missed its deadline has an empty emission."""

    name: str
    job: str
    emission: Emission
    duration_seconds: float
    is_success: bool


class RoundSink(Protocol):
    """Takes what a round found."""

    def put(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> None:
        """Take a round; must not wait."""
        ...


@dataclass(frozen=True, slots=True)
class Burst:
    """At the start, for `length_seconds`, every instance runs each `interval_seconds`, so that rates show at once."""

    length_seconds: float = 60.0
    interval_seconds: float = 1.0


@dataclass(slots=True, eq=False)
class Run:
    """One run of an instance. `began` and `ended` are when the check itself began and ended, not when it was asked to.
    `asked_at_ms` is the host's time for people, all others are the monotonic clock's.

    A run that `is_in_round` has its timestamp: another round does not show it again.
    """

    emission: Emission
    asked_at_ms: int
    asked_at: float
    deadline_at: float
    began: float = math.nan
    ended: float = math.nan
    ended_with: asyncio.Future[None] = field(init=False)
    is_expired: bool = False
    is_in_round: bool = False


@dataclass(slots=True, eq=False)
class PendingRound:
    """Instances due at one moment; a run is None where the instance is stuck. Once it `is_over`, nothing is handed over."""

    timestamp_ms: int
    runs: list[tuple["CheckInstance", Run | None]] = field(default_factory=list)
    is_over: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether no run is under way any more."""
        return all(run is None or run.ended_with.done() for _, run in self.runs)


@dataclass(slots=True, eq=False)
class CheckInstance:
    """One configured use of a check. `is_absent`: the host has not what it would show, which is no failure."""

    name: str
    check: Check
    interval_seconds: float
    deadline_seconds: float
    due_at: float = 0.0
    outstanding: Run | None = None
    last_error: str = ""
    is_absent: bool = False
    last_run_ms: int = 0
    last_duration_seconds: float = math.nan
    last_samples: int = 0


class Schedule:
    """A part that runs check instances when they are due; `collect` runs them for whoever asks."""

    name = "agent.schedule"

    def __init__(
        self,
        instances: Sequence[CheckInstance],
        sink: RoundSink | None,
        runner: Runner,
        root: Root,
        clock: Clock,
        telemetry: CheckTelemetry,
        log: Logger,
        phase: float = 0.0,
        burst: Burst | None = None,
    ) -> None:
        """`phase` (0 to 1) is this agent's place in the interval: thousands of agents do not deliver at one moment."""
        self.instances = list(instances)
        self._sink = sink
        self._runner = runner
        self._root = root
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._phase = phase
        self._burst = burst
        self._burst_ends_at = 0.0
        self._rounds: set[asyncio.Task[None]] = set()
        self._is_changed = asyncio.Event()

    def apply(self, instances: Sequence[CheckInstance]) -> None:
        """Go on with these: those known keep their turn, new ones run at once; a run of a removed one ends unheard."""
        now = self._clock.monotonic()
        for instance in instances:
            if instance not in self.instances:
                instance.due_at = now
        self.instances = list(instances)
        self._is_changed.set()

    async def start(self) -> None:
        """The first round is due at once."""
        now = self._clock.monotonic()
        self._burst_ends_at = now + (self._burst.length_seconds if self._burst else 0.0)
        for instance in self.instances:
            instance.due_at = now

    async def run(self) -> None:
        """Begin rounds until cancelled; without a sink there is nothing to run for, only `collect`."""
        if self._sink is None:
            return
        while True:
            self._is_changed.clear()
            next_due_at = min((instance.due_at for instance in self.instances), default=math.inf)
            seconds = min(next_due_at - self._clock.monotonic(), IDLE_SECONDS_MAX)
            await wait_event(self._is_changed, seconds, self._clock)
            if any(instance.due_at <= self._clock.monotonic() for instance in self.instances):
                self._begin_round(self._sink)

    async def stop(self) -> None:
        """Forget rounds that are under way; checks that hang are left to the end of the process."""
        self._runner.close()
        for task in self._rounds:
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)

    async def collect(self, instances: Sequence[CheckInstance] | None = None) -> list[Outcome]:
        """Fresh outcomes of these instances, or of all: runs under way are shared, the others are begun."""
        runs = [
            (instance, self._begin_run(instance)) for instance in (self.instances if instances is None else instances)
        ]
        return await self._end_runs(runs)

    def _begin_round(self, sink: RoundSink) -> None:
        now, pending = self._clock.monotonic(), PendingRound(self._clock.now_ms())
        for instance in self.instances:
            if instance.due_at <= now:
                instance.due_at = self._next_due_at(instance, now)
                run = self._begin_run(instance)
                if run is None or not run.is_in_round:
                    pending.runs.append((instance, run))
                if run is not None:
                    run.is_in_round = True
        self._watch_runs(sink, pending)
        task = asyncio.create_task(self._expire_round(sink, pending), name="agent.round")
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    def _watch_runs(self, sink: RoundSink, pending: PendingRound) -> None:
        """Hand a round over in the callbacks of the run that ends it: a later turn of the loop may begin the next run."""

        def note_end(_: asyncio.Future[None]) -> None:
            if pending.has_ended:
                self._hand_over(sink, pending)

        for _, run in pending.runs:
            if run is not None:
                run.ended_with.add_done_callback(note_end)

    async def _expire_round(self, sink: RoundSink, pending: PendingRound) -> None:
        """Hand a round over when the deadlines of its runs have passed."""
        try:
            await self._wait_runs([run for _, run in pending.runs if run is not None])
            self._hand_over(sink, pending)
        finally:
            pending.is_over = True

    def _hand_over(self, sink: RoundSink, pending: PendingRound) -> None:
        if pending.is_over:
            return
        pending.is_over = True
        try:
            sink.put(pending.timestamp_ms, [self._outcome(instance, run) for instance, run in pending.runs])
        except Exception as error:
            self._log.error("BUG: a round was lost on its way to the sink", error=error)

    def _next_due_at(self, instance: CheckInstance, now: float) -> float:
        if self._burst and now + self._burst.interval_seconds <= self._burst_ends_at:
            return now + min(self._burst.interval_seconds, instance.interval_seconds)
        interval = instance.interval_seconds
        return (math.floor(now / interval - self._phase) + 1 + self._phase) * interval

    def _begin_run(self, instance: CheckInstance) -> Run | None:
        """A run for this moment, perhaps one that is under way; None while the instance is stuck."""
        outstanding = instance.outstanding
        if outstanding is not None:
            if not outstanding.is_expired:
                return outstanding
            self._telemetry.overruns.add(1, instance.name)
            return None
        emission, now = Emission(labels=instance.check.settings.labels), self._clock.monotonic()
        context = Context(emission, self._clock, self._root, self._log, instance.deadline_seconds)
        run = Run(emission, self._clock.now_ms(), now, now + instance.deadline_seconds)

        def call() -> None:
            run.began = self._clock.monotonic()
            try:
                instance.check.run(context)
            finally:
                run.ended = self._clock.monotonic()

        instance.outstanding = run
        run.ended_with = self._runner.run(call)
        run.ended_with.add_done_callback(lambda _: self._end_run(instance, run))
        return run

    def _end_run(self, instance: CheckInstance, run: Run) -> None:
        instance.outstanding = None
        error = None if run.ended_with.cancelled() else run.ended_with.exception()
        if run.is_expired:
            self._telemetry.recover(instance.name)
            self._log.info("check answers again", check=instance.name, after_seconds=run.ended - run.asked_at)
            return
        self._telemetry.record(instance.name, run.ended - run.began, run.emission, error)
        instance.last_run_ms = self._clock.now_ms()
        instance.last_duration_seconds, instance.last_samples = run.ended - run.began, len(run.emission.samples)
        self._log.debug(
            "check has run",
            check=instance.name, asked_at_ms=run.asked_at_ms, samples=len(run.emission.samples), error=error or "",
        )  # fmt: skip
        text = words_of(error) if error is not None else excess_of(run.emission)
        instance.is_absent = isinstance(error, Unavailable)
        if text and text != instance.last_error:
            if instance.is_absent:
                self._log.info("check has nothing to show", check=instance.name, reason=text)
            else:
                self._log.warning("check failed", check=instance.name, error=text)
        instance.last_error = text

    async def _end_runs(self, runs: Sequence[tuple[CheckInstance, Run | None]]) -> list[Outcome]:
        """Wait until every run has ended or missed its deadline."""
        await self._wait_runs([run for _, run in runs if run is not None])
        return [self._outcome(instance, run) for instance, run in runs]

    async def _wait_runs(self, runs: Sequence[Run]) -> None:
        pending = [run for run in runs if not run.ended_with.done()]
        while pending:
            seconds = min(run.deadline_at for run in pending) - self._clock.monotonic()
            await wait_futures([run.ended_with for run in pending], seconds, self._clock)
            now = self._clock.monotonic()
            pending = [run for run in pending if not run.ended_with.done() and run.deadline_at > now]

    def _outcome(self, instance: CheckInstance, run: Run | None) -> Outcome:
        if run is None or run.is_expired:
            return Outcome(instance.name, instance.check.job, Emission(), math.nan, is_success=False)
        if not run.ended_with.done():
            run.is_expired = True
            instance.last_error = f"missed its deadline of {instance.deadline_seconds:g} s"
            instance.is_absent = False
            self._telemetry.expire(instance.name)
            self._log.warning(
                "check missed its deadline, what it finds is not taken",
                check=instance.name, deadline_seconds=instance.deadline_seconds, asked_at_ms=run.asked_at_ms,
            )  # fmt: skip
            return self._outcome(instance, run)
        is_success = not run.ended_with.cancelled() and run.ended_with.exception() is None
        return Outcome(instance.name, instance.check.job, run.emission, run.ended - run.began, is_success)


def excess_of(emission: Emission) -> str:
    """What a run emitted beyond what it may, in words; empty where it kept within."""
    if not emission.dropped:
        return ""
    return f"{emission.dropped} samples beyond the {emission.samples_max} that a run may emit are dropped"


async def wait_futures(futures: Iterable[asyncio.Future[None]], seconds: float, clock: Clock) -> None:
    """Wait until all of these are done, or so long by this clock. Nothing is cancelled, nothing raised."""
    pending = [future for future in futures if not future.done()]
    if not pending or seconds <= 0:
        return
    all_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    remaining = len(pending)

    def count_down(_: asyncio.Future[None]) -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0 and not all_done.done():
            all_done.set_result(None)

    for future in pending:
        future.add_done_callback(count_down)
    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((all_done, sleeper), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        for future in pending:
            future.remove_done_callback(count_down)
