"""What the server can never take, kept for whoever wants to know why: the payload as it was sent, and the server's words.

Invariant: bounded by number and bytes, the oldest go first; a disk that does not take it costs the copy and nothing else.
"""

from pathlib import Path

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError
from nunchi.kit.logs import Logger

FOLDER = "refused"
PAYLOADS_MAX = 20
BYTES_MAX = 4 << 20
PAYLOAD, WORDS = ".payload", ".reason"


class SetAside:
    """A folder of payloads."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock, log: Logger) -> None:
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._log = log

    def put(self, body: bytes, words: str) -> None:
        """Keep a payload and why it was refused."""
        try:
            self._disk.make_folder(self._folder)
            kept = self._kept()
            number = int(kept[-1][0]) + 1 if kept else self._clock.now_ms()
            self._make_room(kept, len(body))
            name = self._folder / str(number)
            self._disk.write_atomically(name.with_suffix(WORDS), f"{words}\n".encode())
            self._disk.write_atomically(name.with_suffix(PAYLOAD), body)
        except DiskError as error:
            self._log.warning("a payload that the server refused is not kept", error=error)
        else:
            self._log.info("a payload that the server refused is kept", path=name.with_suffix(PAYLOAD))

    def _kept(self) -> list[tuple[str, int]]:
        """Names without suffix, oldest first, with their bytes."""
        names = {name.removesuffix(PAYLOAD) for name in self._disk.list(self._folder) if name.endswith(PAYLOAD)}
        found = sorted((name for name in names if name.isdecimal()), key=int)
        return [(name, self._disk.size(self._folder / f"{name}{PAYLOAD}") or 0) for name in found]

    def _make_room(self, kept: list[tuple[str, int]], size: int) -> None:
        total = size + sum(own for _, own in kept)
        for position, (name, own) in enumerate(kept):
            if len(kept) - position < PAYLOADS_MAX and total <= BYTES_MAX:
                return
            for suffix in (PAYLOAD, WORDS):
                self._disk.remove(self._folder / f"{name}{suffix}")
            total -= own
