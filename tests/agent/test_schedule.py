"""Intervals, deadlines, overruns and failures of checks, on a clock that stands still until it is moved."""

import asyncio
import io
import threading
from collections.abc import Callable, Sequence
from typing import Self

import pytest

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import Root
from nunchi.agent.schedule import Burst, CheckInstance, Outcome, Schedule
from nunchi.agent.threads import Call, DaemonThreads, ThreadRunner
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock


class Rounds:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.rounds: list[tuple[int, list[Outcome]]] = []

    def put(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> None:
        self.rounds.append((timestamp_ms, list(outcomes)))

    def names(self) -> list[list[str]]:
        return [[outcome.name for outcome in outcomes] for _, outcomes in self.rounds]


class AtOnce:
    """A runner that runs a call before it returns."""

    def run(self, call: Call) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            call()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def close(self) -> None:
        pass


class Held(AtOnce):
    """A runner whose calls hang until a test lets them go."""

    def __init__(self) -> None:
        self.held: list[tuple[Call, asyncio.Future[None]]] = []

    def run(self, call: Call) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held.append((call, future))
        return future

    def release(self) -> None:
        for call, future in self.held:
            call()
            future.set_result(None)
        self.held.clear()


class Lambda(Check):
    """A check made of a function."""

    name = "lambda"

    def __init__(self, function: Callable[[Context], None]) -> None:
        super().__init__(CheckSettings())
        self._function = function

    def run(self, context: Context) -> None:
        self._function(context)


def one(context: Context) -> None:
    context.emit.gauge("one", 1)


def instance(
    name: str, interval: float, function: Callable[[Context], None] = one, deadline: float = 5.0
) -> CheckInstance:
    return CheckInstance(name, Lambda(function), interval, min(deadline, interval))


class Stage:
    """A schedule with everything around it."""

    def __init__(
        self, *instances: CheckInstance, runner: AtOnce | None = None, phase: float = 0.0, burst: Burst | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.rounds = Rounds()
        self.telemetry = CheckTelemetry(Telemetry())
        self.schedule = Schedule(
            instances,
            self.rounds,
            runner or AtOnce(),
            Root(),
            self.clock,
            self.telemetry,
            logger("test"),
            phase=phase,
            burst=burst,
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.schedule.start()
        self._task = asyncio.create_task(self.schedule.run())
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.schedule.stop()


async def test_instances_due_together_make_one_round_at_once_and_then_on_the_grid() -> None:
    async with Stage(instance("a", 10), instance("b", 10), instance("c", 30)) as stage:
        assert stage.rounds.names() == [["a", "b", "c"]]
        await stage.clock.advance(30)
    assert stage.rounds.names() == [["a", "b", "c"], ["a", "b"], ["a", "b", "c"], ["a", "b"]]
    times = [timestamp_ms for timestamp_ms, _ in stage.rounds.rounds]
    assert [time - times[0] for time in times] == [0, 10_000, 20_000, 30_000]


async def test_phase_moves_all_rounds_but_the_first() -> None:
    async with Stage(instance("a", 10), phase=0.25) as stage:
        await stage.clock.advance(30)
    times = [timestamp_ms for timestamp_ms, _ in stage.rounds.rounds]
    assert [time - times[0] for time in times] == [0, 2_500, 12_500, 22_500]


async def test_burst_samples_every_second_in_the_first_minute() -> None:
    async with Stage(instance("a", 10), burst=Burst(60.0, 1.0)) as stage:
        await stage.clock.advance(59.5)
        assert len(stage.rounds.rounds) == 60
        await stage.clock.advance(40.5)
    assert len(stage.rounds.rounds) == 61 + 4


async def test_rounds_missed_by_a_sleeping_machine_are_not_made_up_for() -> None:
    stage = Stage(instance("a", 10))
    await stage.schedule.start()
    stage.clock._move_to(stage.clock.monotonic() + 95)
    task = asyncio.create_task(stage.schedule.run())
    await stage.clock.advance(4)
    assert len(stage.rounds.rounds) == 1
    await stage.clock.advance(1)
    assert len(stage.rounds.rounds) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stage.schedule.stop()


async def test_a_check_that_raises_shows_what_it_emitted_before_and_takes_no_other_down() -> None:
    def broken(context: Context) -> None:
        context.emit.gauge("before", 1)
        raise ValueError("a bad line")

    async with Stage(instance("broken", 10, broken), instance("good", 10)) as stage:
        pass
    (_, (bad, good)), *_ = stage.rounds.rounds
    assert (bad.is_success, [sample[0] for sample in bad.emission.samples]) == (False, ["before"])
    assert (good.is_success, [sample[0] for sample in good.emission.samples]) == (True, ["one"])
    assert stage.telemetry.failures.value("broken", "exception") == 1
    assert stage.telemetry.failures.value("good", "exception") == 0


async def test_what_a_host_does_not_have_is_no_exception() -> None:
    def lacking(_: Context) -> None:
        raise Unavailable("no such thing")

    async with Stage(instance("lacking", 10, lacking)) as stage:
        pass
    assert stage.telemetry.failures.value("lacking", "unavailable") == 1
    assert not stage.rounds.rounds[0][1][0].is_success
    (shown,) = stage.schedule.instances
    assert (shown.is_absent, shown.last_error) == (True, "no such thing")


async def test_what_a_check_emits_beyond_its_budget_is_dropped_counted_and_told() -> None:
    def many(context: Context) -> None:
        for number in range(20_007):
            context.emit.gauge("many", number, n=str(number))

    async with Stage(instance("many", 10, many)) as stage:
        pass
    (outcome,) = stage.rounds.rounds[0][1]
    assert (outcome.is_success, len(outcome.emission.samples)) == (True, 20_000)
    assert stage.telemetry.dropped.value("many") == 7
    assert stage.schedule.instances[0].last_error == "7 samples beyond the 20000 that a run may emit are dropped"


async def test_round_waits_for_its_slowest_check_up_to_the_deadline() -> None:
    held = Held()
    async with Stage(instance("slow", 10, deadline=3), runner=held) as stage:
        await stage.clock.advance(2.9)
        assert stage.rounds.rounds == []
        held.release()
        await stage.clock.advance(0)
        ((_, (outcome,)),) = stage.rounds.rounds
        assert outcome.is_success
        assert stage.telemetry.runs.value("slow") == 1


async def test_a_round_is_with_the_sink_before_its_check_can_run_again() -> None:
    held = Held()
    own = instance("slow", 10, deadline=3)
    async with Stage(own, runner=held) as stage:
        held.release()
        await asyncio.sleep(0)
        assert own.outstanding is None
        assert stage.rounds.names() == [["slow"]], "a process that is killed now has lost nothing that was found"


async def test_stuck_check_is_shown_as_stuck_not_run_again_and_recovers() -> None:
    held = Held()
    async with Stage(instance("stuck", 10, deadline=3), runner=held) as stage:
        await stage.clock.advance(25)
        assert len(held.held) == 1
        assert [outcomes[0].is_success for _, outcomes in stage.rounds.rounds] == [False, False, False]
        assert stage.rounds.rounds[0][1][0].emission.samples == []
        assert stage.telemetry.failures.value("stuck", "deadline") == 1
        assert stage.telemetry.overruns.value("stuck") == 2
        assert stage.telemetry.stuck.value("stuck") == 1
        assert stage.schedule.instances[0].last_error == "missed its deadline of 3 s"
        held.release()
        await stage.clock.advance(0)
        assert stage.telemetry.stuck.value("stuck") == 0
        await stage.clock.advance(5)
        held.release()
        await stage.clock.advance(0)
        assert stage.rounds.rounds[-1][1][0].is_success
        assert stage.schedule.instances[0].last_error == ""


async def test_a_run_that_is_given_up_is_named_by_the_time_at_which_it_was_asked_for(log_text: io.StringIO) -> None:
    async with Stage(instance("slow", 10, deadline=3), runner=Held()) as stage:
        asked_at_ms = stage.clock.now_ms()
        await stage.clock.advance(5)
        [said] = [line for line in log_text.getvalue().splitlines() if "missed its deadline" in line]
        assert f"asked_at_ms={asked_at_ms}" in said


async def test_stuck_check_delays_other_checks_of_later_rounds_not_at_all() -> None:
    class FirstIsHeld(Held):
        def run(self, call: Call) -> asyncio.Future[None]:
            return super().run(call) if not self.held else AtOnce.run(self, call)

    held = FirstIsHeld()
    async with Stage(instance("stuck", 10, deadline=5), instance("good", 1), runner=held) as stage:
        await stage.clock.advance(4.5)
        assert stage.rounds.names() == [["good"]] * 4
        await stage.clock.advance(1)
        assert ["stuck", "good"] in stage.rounds.names()


async def test_a_run_is_shown_in_one_round_even_when_the_next_turn_comes_before_its_end() -> None:
    runner = Held()
    stage = Stage(instance("slow", 10), runner=runner, phase=0.1)
    async with stage:
        await stage.clock.advance(1.5)
        assert stage.rounds.names() == [[]], "its turn on the grid came a second after the start"
        runner.release()
        await stage.clock.advance(0)
        assert sorted(stage.rounds.names()) == [[], ["slow"]]
        await stage.clock.advance(10)
        runner.release()
        await stage.clock.advance(0)
        assert sorted(stage.rounds.names()) == [[], ["slow"], ["slow"]]


async def test_collect_shares_runs_under_way_and_never_runs_an_instance_twice_at_once() -> None:
    held = Held()
    stage = Stage(instance("a", 10), runner=held)
    first = asyncio.create_task(stage.schedule.collect())
    second = asyncio.create_task(stage.schedule.collect())
    await stage.clock.advance(0)
    assert len(held.held) == 1
    held.release()
    for outcomes in (await first, await second):
        assert [sample[0] for sample in outcomes[0].emission.samples] == ["one"]
    assert stage.telemetry.runs.value("a") == 1


async def test_collect_waits_for_a_stuck_check_once_and_no_longer_than_its_deadline() -> None:
    class FirstIsHeld(Held):
        def run(self, call: Call) -> asyncio.Future[None]:
            return super().run(call) if not self.held else AtOnce.run(self, call)

    stage = Stage(instance("stuck", 10, deadline=2), instance("good", 10), runner=FirstIsHeld())
    first = asyncio.create_task(stage.schedule.collect())
    await stage.clock.advance(2)
    stuck, good = await first
    assert (stuck.is_success, stuck.emission.samples, good.is_success) == (False, [], True)
    stuck, good = await stage.schedule.collect()
    assert (stuck.is_success, good.is_success) == (False, True)


async def test_round_that_the_sink_cannot_take_ends_nothing(log_text: io.StringIO) -> None:
    class Broken(Rounds):
        def put(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> None:
            super().put(timestamp_ms, outcomes)
            raise RuntimeError("no")

    stage = Stage(instance("a", 10))
    stage.rounds = stage.schedule._sink = Broken()
    async with stage:
        await stage.clock.advance(10)
    assert len(stage.rounds.rounds) == 2
    assert "a round was lost" in log_text.getvalue()


async def test_threads_keep_a_hanging_call_from_delaying_others() -> None:
    threads = DaemonThreads("test", SystemClock(), threads_max=4)
    runner = ThreadRunner(threads)
    released = threading.Event()
    hanging = [runner.run(lambda: released.wait(30) and None) for _ in range(3)]
    done = [runner.run(lambda: None) for _ in range(50)]
    await asyncio.wait_for(asyncio.gather(*done), 20)
    assert not any(future.done() for future in hanging)
    released.set()
    await asyncio.wait_for(asyncio.gather(*hanging), 20)
    runner.close()


async def test_threads_hand_exceptions_to_whoever_waits() -> None:
    runner = ThreadRunner(DaemonThreads("test", SystemClock(), threads_max=1))

    def fail() -> None:
        raise OSError("nothing here")

    with pytest.raises(OSError, match="nothing here"):
        await runner.run(fail)
    runner.close()


async def test_quick_calls_share_one_thread() -> None:
    threads = DaemonThreads("test", SystemClock(), threads_max=8, patience_seconds=5.0)
    runner = ThreadRunner(threads)
    names: set[str] = set()
    futures = [runner.run(lambda: names.add(str(threading.get_ident()))) for _ in range(30)]
    await asyncio.gather(*futures)
    assert len(names) == 1
    runner.close()
