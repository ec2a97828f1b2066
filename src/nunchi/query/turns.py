"""Whose turn it is to run Python: at most one query at a time, in the order of asking.

A query gives way between tiles and while kernels loop, so that the event loop, which shares the interpreter, never waits for
more than one Python-busy thread. Invariant: a thread that has no turn holds none of the interpreter's time but its kernels.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A fair lock: whoever has waited longest is next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Event] = deque()

    def take(self) -> None:
        """Wait for the turn."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def leave(self) -> None:
        """Hand the turn to whoever waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn within a block."""
        self.take()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def given(self) -> Iterator[None]:
        """Do without the turn within a block."""
        self.leave()
        try:
            yield
        finally:
            self.take()
