"""Daemon threads for calls that may hang. They are never joined: a process ends although a call hangs in the kernel.

One thread serves while calls are quick; another is added only when a call has waited longer than `patience_seconds` for its
turn, up to `threads_max`. Invariant: a hanging call costs one thread and delays no other call by more than the patience,
as long as fewer than `threads_max` calls hang.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from nunchi.kit.clock import Clock

PATIENCE_SECONDS = 0.05
IDLE_SECONDS_MAX = 60.0

Call = Callable[[], None]


class DaemonThreads:
    """Calls wait in one queue. What a call raises is its own affair: it must contain it."""

    def __init__(self, name: str, clock: Clock, threads_max: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.patience_seconds = patience_seconds
        self._name = name
        self._clock = clock
        self._threads_max = threads_max
        self._changed = threading.Condition()
        self._calls: deque[tuple[float, Call]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, call: Call) -> None:
        """Queue a call. The queue is bounded by the callers: each has at most one call outstanding per thing it watches."""
        with self._changed:
            self._calls.append((self._clock.monotonic(), call))
            if self._threads == 0:
                self._add_thread()
            self._changed.notify()

    def relieve(self) -> bool:
        """Add a thread if a call has waited too long; returns whether calls are waiting. To be called while waiting."""
        with self._changed:
            if self._calls and self._idle == 0 and self._threads < self._threads_max:
                waited_seconds = self._clock.monotonic() - self._calls[0][0]
                if waited_seconds >= self.patience_seconds:
                    self._add_thread()
            return bool(self._calls)

    def close(self) -> None:
        """Let idle threads go; calls that have not begun are forgotten, those that hang are left to the end of the process."""
        with self._changed:
            self._closed = True
            self._calls.clear()
            self._changed.notify_all()

    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._serve, name=self._name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                call = self._take_call()
                if call is None:
                    self._threads -= 1
                    return
            call()

    def _take_call(self) -> Call | None:
        while not self._calls:
            if self._closed:
                return None
            self._idle += 1
            notified = self._changed.wait(IDLE_SECONDS_MAX)
            self._idle -= 1
            if not notified and not self._calls and self._threads > 1:
                return None
        return self._calls.popleft()[1]


class ThreadRunner:
    """Runs calls in daemon threads for an event loop: `run` gives a future that is done when the call has ended."""

    def __init__(self, threads: DaemonThreads) -> None:
        self._threads = threads
        self._relief: asyncio.TimerHandle | None = None

    def run(self, call: Call) -> asyncio.Future[None]:
        """Start a call; its future holds what it raised. Cancelling the future does not end the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def serve() -> None:
            error: Exception | None = None
            try:
                call()
            except Exception as caught:
                error = caught
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
                loop.call_soon_threadsafe(settle, future, error)

        self._threads.submit(serve)
        if self._relief is None:
            self._relief = loop.call_later(self._threads.patience_seconds, self._relieve, loop)
        return future

    def close(self) -> None:
        """Stop relieving and let idle threads go."""
        if self._relief is not None:
            self._relief.cancel()
            self._relief = None
        self._threads.close()

    def _relieve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._relief = None
        if self._threads.relieve():
            self._relief = loop.call_later(self._threads.patience_seconds, self._relieve, loop)


class ThreadBackground:
    """A `kit.spool_segments.Background`: calls wait for the disk in a thread that nobody waits for at the end."""

    def __init__(self, runner: ThreadRunner) -> None:
        self._runner = runner

    def run(self, call: Call, ended: Callable[[BaseException | None], None]) -> None:
        """See `Background.run`."""
        self._runner.run(call).add_done_callback(lambda future: ended(future.exception()))


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """Give a future its outcome unless it was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
