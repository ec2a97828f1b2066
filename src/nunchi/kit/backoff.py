"""Delays between attempts: exponential, jittered, bounded. Pure arithmetic over a random source that is passed in."""

from random import Random


class Backoff:
    """Each `next` is drawn between half and all of a ceiling that doubles up to `maximum_seconds`."""

    def __init__(self, initial_seconds: float, maximum_seconds: float, random: Random) -> None:
        assert 0 < initial_seconds <= maximum_seconds
        self._initial_seconds = initial_seconds
        self._maximum_seconds = maximum_seconds
        self._random = random
        self._ceiling_seconds = initial_seconds

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = self._ceiling_seconds
        self._ceiling_seconds = min(ceiling * 2, self._maximum_seconds)
        return ceiling * (0.5 + self._random.random() / 2)

    def reset(self) -> None:
        """An attempt succeeded: begin at the initial delay again."""
        self._ceiling_seconds = self._initial_seconds
