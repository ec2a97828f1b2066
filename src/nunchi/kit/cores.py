"""Cores that nobody needs at the moment: a kernel with much to do borrows them for one call.

Invariant: at most `spare_max` are lent at once, however many calls run; nobody waits for one.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Lends spare cores; by default all of the machine's but the caller's own. Safe to use from several threads."""

    def __init__(self, spare_max: int | None = None) -> None:
        self._lock = threading.Lock()
        self._spare = (os.cpu_count() or 1) - 1 if spare_max is None else spare_max

    @contextmanager
    def borrowed(self) -> Iterator[int]:
        """In how many threads a call may run within the block: the caller's own, and one a spare core."""
        with self._lock:
            taken, self._spare = self._spare, 0
        try:
            yield 1 + taken
        finally:
            with self._lock:
                self._spare += taken
