"""Queries for asyncio: a bounded number runs in threads, a bounded number waits, each has a deadline and can be given up.

Invariant: a slot is free again only when its thread is done; a query that was given up notices between two tiles.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from nunchi.kit.clock import Clock
from nunchi.kit.telemetry import Telemetry
from nunchi.query.engine import DEFAULT_OPTIONS, Engine, OpenQuerier, QueryOptions
from nunchi.query.errors import LimitError, QueryTimeout
from nunchi.query.limits import Budget
from nunchi.query.turns import Turns
from nunchi.query.values import QueryResult

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How many queries run at once, and how many may wait for that."""

    concurrency_max: int = 20
    waiting_max: int = 1000


class QueryRunner:
    """Runs an engine's queries in threads. Made, used and closed in one event loop."""

    def __init__(
        self, engine: Engine, clock: Clock, settings: RunnerSettings | None = None, telemetry: Telemetry | None = None
    ) -> None:
        self.engine = engine
        self.settings = settings or RunnerSettings()
        self._clock = clock
        self._turns = Turns()
        self._slots = asyncio.Semaphore(self.settings.concurrency_max)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(self.settings.concurrency_max, thread_name_prefix="query")
        telemetry = telemetry or Telemetry()
        self._running = telemetry.gauge("nunchi_queries_running", "Queries that run now.")
        self._running_now = 0
        self._running.set(0)
        self._dropped = telemetry.counter("nunchi_queries_dropped_total", "Queries not run.", "reason")

    async def instant(
        self,
        open_querier: OpenQuerier,
        expression: str,
        at_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
        timeout_seconds: float | None = None,
    ) -> QueryResult:
        """See `Engine.instant`. Cancelling the caller ends the query."""
        return await self.run(
            lambda budget: self.engine.instant(open_querier, expression, at_ms, replace(options, budget=budget)),
            timeout_seconds,
        )

    async def range(
        self,
        open_querier: OpenQuerier,
        expression: str,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
        timeout_seconds: float | None = None,
    ) -> QueryResult:
        """See `Engine.range`. Cancelling the caller ends the query."""
        return await self.run(
            lambda budget: self.engine.range(
                open_querier, expression, start_ms, end_ms, step_ms, replace(options, budget=budget)
            ),
            timeout_seconds,
        )

    async def run(self, work: Callable[[Budget], ResultT], timeout_seconds: float | None = None) -> ResultT:
        """Run anything that costs like a query: with a slot, a turn at Python, and a budget that counts from now."""
        canceled = threading.Event()
        budget = Budget(
            self.engine.settings.limits, self._clock.monotonic, timeout_seconds, canceled.is_set, self._turns.given
        )
        await self._take_slot(budget)

        def run_in_turn() -> ResultT:
            with self._turns.taken():
                budget.begin()
                return work(budget)

        self._count_running(1)
        future = asyncio.get_running_loop().run_in_executor(self._threads, run_in_turn)
        future.add_done_callback(self._free_slot)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            canceled.set()
            raise

    async def _take_slot(self, budget: Budget) -> None:
        if self._slots.locked() and self._waiting >= self.settings.waiting_max:
            self._dropped.add(1, "queue_full")
            raise LimitError(
                f"{self._waiting} queries are waiting already",
                "concurrency",
                self.settings.concurrency_max,
                "--query.max-concurrency",
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(budget.timeout_seconds):
                await self._slots.acquire()
        except TimeoutError:
            self._dropped.add(1, "timeout_waiting")
            raise QueryTimeout(
                f"query timed out in query queue (limit timeout: {budget.timeout_seconds:g}s); "
                "try again, or raise the limits with --query.timeout or --query.max-concurrency"
            ) from None
        finally:
            self._waiting -= 1

    def _free_slot(self, future: "asyncio.Future[ResultT]") -> None:
        self._count_running(-1)
        self._slots.release()
        if not future.cancelled():
            future.exception()  # whoever was waiting may have left: its failure is nobody's surprise

    def _count_running(self, change: int) -> None:
        self._running_now += change
        self._running.set(self._running_now)

    async def close(self) -> None:
        """Wait for the queries that run, and end the threads."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
