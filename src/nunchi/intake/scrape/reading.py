"""Reading expositions: small ones at once, large ones in a thread, so that one target's hundred megabytes delay nobody else.

Invariant: at most `READERS_MAX` large bodies are read at a time; the others wait, each as part of its own scrape.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nunchi.intake.scrape.fetch import Answer

READERS_MAX = 2
LARGE_BYTES_MIN = 256 << 10
LARGE_ENCODED_BYTES_MIN = 16 << 10

ResultT = TypeVar("ResultT")


class Readers:
    """The threads of one process that read large expositions."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="exposition")

    def submit(self, work: Callable[[], ResultT]) -> "asyncio.Future[ResultT]":
        """Begin, or queue, a piece of work that touches nothing which the event loop uses meanwhile."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Begin nothing more; what is being read is read to its end by a thread that nobody waits for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_large(answer: Answer) -> bool:
    """Whether reading an answer would be felt by everybody else."""
    return len(answer.encoded) >= (LARGE_ENCODED_BYTES_MIN if answer.encoding else LARGE_BYTES_MIN)
