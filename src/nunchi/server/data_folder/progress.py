"""How long work says how far it is, and where it may be stopped: the contract, and the one that says nothing."""

from typing import Protocol


class Progress(Protocol):
    """Told of every step. Between two steps, and only there, work may end early without harm."""

    def begin(self, title: str, total: int, unit: str = "bytes") -> None:
        """The next stretch of work, of so many units; 0 where nobody knows."""
        ...

    def advance(self, amount: int, samples: int = 0) -> None:
        """So much more is done, and so many samples with it; raises `Interrupted` where the work is to end here."""
        ...

    def say(self, text: str) -> None:
        """A line that people should read."""
        ...


class Silence:
    """A `Progress` that nobody sees."""

    def begin(self, title: str, total: int, unit: str = "bytes") -> None:
        """See `Progress.begin`."""

    def advance(self, amount: int, samples: int = 0) -> None:
        """See `Progress.advance`."""

    def say(self, text: str) -> None:
        """See `Progress.say`."""
