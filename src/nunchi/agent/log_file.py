"""The log as a file that never fills a disk: what is too long is copied aside and begun anew.

The file is cut in place, so that whoever else writes to it (checks of one's own print into it) goes on in the new one; it must
have been opened for appending.
Invariant: of the log there are at most `files_max` files of about `bytes_max` bytes.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from nunchi.agent.log_settings import LogSettings
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger

LOOK_SECONDS = 5.0
FILE_MODE = 0o640


class LogFile:
    """A part. `settings` are those in force."""

    name = "agent.log"

    def __init__(self, path: Path, settings: Callable[[], LogSettings], clock: Clock, log: Logger) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._log = log

    async def start(self) -> None:
        """Nothing to take: whoever started the process has opened the file."""

    async def run(self) -> None:
        """Look at the file's size until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                self.rotate()
            except OSError as error:
                self._log.warning("the log cannot be rotated", file=self._path, error=error)

    async def stop(self) -> None:
        """Nothing to give back."""

    def rotate(self) -> None:
        """Move a file that is too long aside, and the ones before it on; the oldest goes. Raises OSError."""
        settings = self._settings()
        if not self._path.exists() or self._path.stat().st_size <= settings.bytes_max:
            return
        for number in range(settings.files_max - 1, 1, -1):
            earlier = self._numbered(number - 1)
            if earlier.exists():
                earlier.replace(self._numbered(number))
        if settings.files_max > 1:
            shutil.copyfile(self._path, self._numbered(1))
        os.truncate(self._path, 0)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def write_into(path: Path) -> None:
    """From now on this process's output and errors are appended to a file. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
