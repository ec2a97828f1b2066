"""The life of a process: start, wait for a signal, stop. SIGINT and SIGTERM stop, a second one at once; SIGHUP reloads.

Invariants: what was started is stopped, whatever ends the wait; once it is stopped, no thread keeps the process alive.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, Protocol

from nunchi.kit.errors import InputError
from nunchi.kit.logs import Logger

EXIT_AT_ONCE = 130


class Program(Protocol):
    """What `run_until_signal` runs."""

    async def start(self) -> None:
        """Begin; raising ends the process, with nothing left to stop."""
        ...

    async def stop(self) -> None:
        """End."""
        ...


def run_to_exit(main: Coroutine[Any, Any, None]) -> NoReturn:
    """Run the program of this process and exit with 0, or raise what `main` raises.

    Everything has been stopped by then. What threads still do (look up a name that no server knows, read a huge exposition)
    is of no use any more, so it is not waited for.
    """
    with asyncio.Runner() as runner:
        runner.run(main)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def run_until_signal(
    program: Program,
    log: Logger,
    *,
    announce: Callable[[], None] = lambda: None,
    reload: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Start, announce, wait for a signal, stop. `reload` says itself what it did; its `InputError`s end here."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def end() -> None:
        if ending.is_set():
            os._exit(EXIT_AT_ONCE)
        ending.set()

    async def reload_once(action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except InputError as error:
            log.debug("reload refused", error=error)

    def begin_reload(action: Callable[[], Awaitable[None]]) -> None:
        task = loop.create_task(reload_once(action))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    if not await _start(program, ending):
        log.info("stopped before it had started")
        return
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, begin_reload, reload)
    announce()
    try:
        await ending.wait()
        log.info("stopping")
    finally:
        await program.stop()


async def _start(program: Program, ending: asyncio.Event) -> bool:
    """Start a program; False where it is to end before it has started, and then nothing of it is left."""
    starting, end = asyncio.ensure_future(program.start()), asyncio.ensure_future(ending.wait())
    try:
        await asyncio.wait((starting, end), return_when=asyncio.FIRST_COMPLETED)
    finally:
        end.cancel()
        if not starting.done():
            starting.cancel()
    try:
        await starting
    except asyncio.CancelledError:
        return False
    return True
