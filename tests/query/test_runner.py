"""Queries in threads: slots, waiting, deadlines, cancellation, turns."""

import asyncio
import threading

import pytest
from tests.query import samples

from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.errors import ExecutionError, LimitError, QueryCanceled, QueryTimeout
from nunchi.query.limits import Budget, Limits
from nunchi.query.runner import QueryRunner, RunnerSettings
from nunchi.query.turns import Turns
from nunchi.testing.clock import VirtualClock


def runner(concurrency_max: int = 2, waiting_max: int = 1, timeout_seconds: float = 120.0) -> QueryRunner:
    engine = Engine(EngineSettings(limits=Limits(timeout_seconds=timeout_seconds)))
    return QueryRunner(engine, VirtualClock(), RunnerSettings(concurrency_max, waiting_max))


async def test_queries_run_in_threads() -> None:
    queries = runner()
    result = await queries.instant(samples.store().querier, "sum(x_total)", samples.END_MS)
    assert result.value.values.tolist() == [234.0]
    result = await queries.range(samples.store().querier, "count(x_total)", 0, 30_000, 15_000)
    assert result.value.values.tolist() == [[4.0, 4.0, 4.0]]
    await queries.close()


async def test_errors_reach_whoever_asked_and_free_the_slot() -> None:
    queries = runner(concurrency_max=1)
    for _ in range(3):
        with pytest.raises(ExecutionError):
            await queries.instant(samples.store().querier, "x_total + on() x_total", samples.END_MS)
    await queries.close()


class Blocked:
    """Work that waits for the test, between two tiles."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, budget: Budget) -> str:
        with budget.give_way():
            self.began.set()
            self.may_go_on.wait()
        budget.tick()
        return "done"


async def test_no_more_queries_run_or_wait_than_allowed() -> None:
    queries, works = runner(concurrency_max=1, waiting_max=1), [Blocked(), Blocked()]
    tasks = [asyncio.create_task(queries.run(work)) for work in works]
    await asyncio.to_thread(works[0].began.wait)
    await asyncio.sleep(0)
    assert not works[1].began.is_set()
    with pytest.raises(LimitError, match=r"queries are waiting already \(limit concurrency: 1\)"):
        await queries.run(lambda budget: "never")
    for work in works:
        work.may_go_on.set()
    assert await asyncio.gather(*tasks) == ["done", "done"]
    await queries.close()


async def test_a_query_that_waits_too_long_times_out() -> None:
    queries, work = runner(concurrency_max=1), Blocked()
    task = asyncio.create_task(queries.run(work))
    await asyncio.to_thread(work.began.wait)
    with pytest.raises(QueryTimeout, match="in query queue"):
        await queries.run(lambda budget: "never", timeout_seconds=0.01)
    work.may_go_on.set()
    await task
    await queries.close()


async def test_leaving_cancels_the_query_and_frees_the_slot_when_it_noticed() -> None:
    queries, work = runner(concurrency_max=1), Blocked()
    outcome: list[object] = []

    def noted(budget: Budget) -> str:
        try:
            return work(budget)
        except QueryCanceled as error:
            outcome.append(error)
            raise

    task = asyncio.create_task(queries.run(noted))
    await asyncio.to_thread(work.began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    work.may_go_on.set()
    assert await queries.run(lambda budget: "next") == "next"
    assert len(outcome) == 1
    await queries.close()


def test_turns_go_round_in_the_order_of_asking() -> None:
    turns, order, threads = Turns(), [], []
    turns.take()
    for number in range(4):
        waiting = threading.Event()

        def work(number: int = number, waiting: threading.Event = waiting) -> None:
            waiting.set()
            with turns.taken():
                order.append(number)

        thread = threading.Thread(target=work)
        thread.start()
        waiting.wait()
        while len(turns._waiting) <= number:
            pass
        threads.append(thread)
    turns.leave()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_giving_way_lets_others_have_a_turn() -> None:
    turns, had = Turns(), threading.Event()
    with turns.taken():
        thread = threading.Thread(target=lambda: (turns.take(), had.set(), turns.leave()))
        thread.start()
        with turns.given():
            assert had.wait(10)
    thread.join()
