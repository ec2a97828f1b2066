"""`nunchi.kit.supervision`, on a virtual clock."""

import asyncio
import io
import itertools
from random import Random

import pytest

from nunchi.kit.errors import InvariantError, WorldError
from nunchi.kit.logs import logger
from nunchi.kit.supervision import Supervisor
from nunchi.testing.clock import VirtualClock


class Worker:
    """A part that notes what happens to it, and fails as often as it is told."""

    def __init__(self, name: str, events: list[str], failures: int = 0, error: Exception | None = None) -> None:
        self.name = name
        self.events = events
        self.failures = failures
        self.error = error or WorldError("peer is gone")

    async def start(self) -> None:
        self.events.append(f"start {self.name}")

    async def run(self) -> None:
        self.events.append(f"run {self.name}")
        if self.failures:
            self.failures -= 1
            raise self.error
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.events.append(f"stop {self.name}")


def supervisor(clock: VirtualClock, stop_seconds_max: float = 1.5) -> Supervisor:
    return Supervisor(clock, Random(1), logger("test"), stop_seconds_max)


async def test_parts_stop_in_reverse_order() -> None:
    clock, events = VirtualClock(), list[str]()
    parts = supervisor(clock)
    await parts.start(Worker("a", events))
    await parts.start(Worker("b", events))
    await clock.advance(0)
    await parts.stop()
    assert events == ["start a", "start b", "run a", "run b", "stop b", "stop a"]
    assert parts.statistics() == []


async def test_a_failing_part_is_restarted_and_takes_no_other_down(log_text: io.StringIO) -> None:
    clock, events = VirtualClock(), list[str]()
    parts = supervisor(clock)
    await parts.start(Worker("bad", events, failures=2))
    await parts.start(Worker("good", events))
    await clock.advance(10)
    bad, good = parts.statistics()
    assert (bad.state, bad.restarts, bad.last_error) == ("running", 2, "WorldError: peer is gone")
    assert (good.state, good.restarts) == ("running", 0)
    assert events.count("run bad") == 3
    assert events.count("start bad") == 1
    assert log_text.getvalue().count("peer is gone") >= 2
    await parts.stop()


async def test_a_bug_is_called_one(log_text: io.StringIO) -> None:
    clock = VirtualClock()
    parts = supervisor(clock)
    await parts.start(Worker("bad", [], failures=1, error=InvariantError("rows do not match")))
    await clock.advance(5)
    assert 'msg="BUG: part failed"' in log_text.getvalue()
    await parts.stop()


async def test_what_start_raises_goes_to_the_caller_and_the_part_is_not_kept() -> None:
    class Refusing(Worker):
        async def start(self) -> None:
            raise WorldError("port is taken")

    parts = supervisor(VirtualClock())
    with pytest.raises(WorldError, match="port is taken"):
        await parts.start(Refusing("x", []))
    assert parts.statistics() == []


async def test_a_part_that_returns_is_done_and_still_stopped() -> None:
    class Brief(Worker):
        async def run(self) -> None:
            self.events.append("ran")

    clock, events = VirtualClock(), list[str]()
    parts = supervisor(clock)
    await parts.start(Brief("x", events))
    await clock.advance(0)
    assert parts.statistics()[0].state == "done"
    await parts.stop()
    assert events == ["start x", "ran", "stop x"]


async def test_a_part_that_does_not_stop_is_named_and_left(log_text: io.StringIO) -> None:
    class Stubborn(Worker):
        async def stop(self) -> None:
            await asyncio.Event().wait()

    clock, events = VirtualClock(), list[str]()
    parts = supervisor(clock, stop_seconds_max=0.01)
    await parts.start(Worker("under", events))
    await parts.start(Stubborn("stubborn", events))
    await clock.advance(0)
    await parts.stop()
    assert "part=stubborn" in log_text.getvalue()
    assert events[-1] == "stop under"


async def test_a_part_that_fails_to_stop_does_not_keep_the_others(log_text: io.StringIO) -> None:
    class Broken(Worker):
        async def stop(self) -> None:
            raise WorldError("disk is gone")

    clock, events = VirtualClock(), list[str]()
    parts = supervisor(clock)
    await parts.start(Worker("under", events))
    await parts.start(Broken("broken", events))
    await clock.advance(0)
    await parts.stop()
    assert "disk is gone" in log_text.getvalue()
    assert events[-1] == "stop under"


async def test_a_long_run_forgives_earlier_failures(log_text: io.StringIO) -> None:
    clock = VirtualClock()
    waits: list[float] = []

    class Flaky(Worker):
        async def run(self) -> None:
            waits.append(clock.monotonic())
            if len(waits) == 8:
                await clock.sleep(100)
            raise WorldError("again")

    parts = supervisor(clock)
    await parts.start(Flaky("flaky", []))
    await clock.advance(400)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert max(gaps[:7]) > 5
    assert gaps[7] - 100 <= 0.5
    await parts.stop()
    assert "again" in log_text.getvalue()
