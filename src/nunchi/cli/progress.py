"""Long work on the terminal: a bar with rate and time left on standard error, plain lines where nobody looks; and Ctrl-C.

Invariant: the first signal ends the work at its next step; a second one ends the process, which harms nothing either.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from nunchi.server.data_folder.errors import Interrupted

LINE_SECONDS = 10.0
EXIT_INTERRUPTED = 130


class Bar:
    """Implements `data_folder.progress.Progress`."""

    def __init__(self, shown: Progress | None, now: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._now = now
        self._task: TaskID | None = None
        self._title, self._unit = "", "bytes"
        self._total = self._done = self._samples = 0
        self._began = self._said = now()
        self._is_over = False

    def begin(self, title: str, total: int, unit: str = "bytes") -> None:
        """See `Progress.begin`."""
        self._title, self._total, self._unit = title, total, unit
        self._done = self._samples = 0
        self._began = self._now()
        if self._shown is not None:
            if self._task is not None:
                self._shown.remove_task(self._task)
            self._task = self._shown.add_task(title, total=total or None, figures="")
        self._check()

    def advance(self, amount: int, samples: int = 0) -> None:
        """See `Progress.advance`."""
        self._done += amount
        self._samples += samples
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, completed=self._done, figures=self._figures())
        elif self._now() - self._said >= LINE_SECONDS:
            self._said = self._now()
            share = f" {self._done / self._total:.0%}" if self._total else ""
            click.echo(f"{self._title}{share}, {self._figures()}", err=True)
        self._check()

    def say(self, text: str) -> None:
        """See `Progress.say`."""
        if self._shown is not None:
            self._shown.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """The next step is the last one."""
        self._is_over = True

    def _check(self) -> None:
        if self._is_over:
            raise Interrupted(f"{self._title} was interrupted")

    def _figures(self) -> str:
        seconds = max(self._now() - self._began, 1e-9)
        if self._samples:
            return f"{_count(self._samples)} samples, {_count(int(self._samples / seconds))}/s"
        return f"{_count(self._done)} {self._unit}, {_count(int(self._done / seconds))}/s"


def _count(number: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {letter}"
    return f"{number} "


@contextmanager
def showing(after: str) -> Iterator[Bar]:
    """A bar while work goes on. Interrupted, the process ends with 130 and says what comes `after`."""
    console = Console(stderr=True)
    shown = None
    if console.is_terminal:
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"), TimeRemainingColumn(),
        )  # fmt: skip
        shown = Progress(*columns, console=console, transient=True)
    bar = Bar(shown)

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, lambda *_: os._exit(EXIT_INTERRUPTED))
        bar.end()
        bar.say("stopping at the next step; again to stop at once")

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if shown is not None:
            shown.start()
        yield bar
    except Interrupted as error:
        if shown is not None:
            shown.stop()
        click.echo(f"nunchi: {error}: {after}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if shown is not None:
            shown.stop()
        for number, action in former.items():
            signal.signal(number, action)
