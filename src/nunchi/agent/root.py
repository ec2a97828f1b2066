"""Where the host is seen: the places of its /proc, /sys, root file system and udev data, and how their files are read.

Invariant: checks open host files only through here, so that a container, a chroot or a test sees what it is meant to see.
At most `PIECES_MAX` pieces of a file are read; bytes that are not UTF-8 become replacement characters.
"""

import os
from dataclasses import dataclass

PIECE_BYTES = 64 << 10
PIECES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Root:
    """Four folders. All paths given to the methods are relative to the one in the method's name."""

    proc: str = "/proc"
    sys: str = "/sys"
    rootfs: str = "/"
    udev: str = "/run/udev/data"

    def proc_text(self, path: str) -> str:
        """A file below /proc; OSError as the kernel says it."""
        return read_text(f"{self.proc}/{path}")

    def proc_lines(self, path: str) -> list[str]:
        """The lines of a file below /proc."""
        return read_text(f"{self.proc}/{path}").splitlines()

    def sys_text(self, path: str) -> str:
        """A file below /sys, without surrounding blanks."""
        return read_text(f"{self.sys}/{path}").strip()

    def find_sys_text(self, path: str) -> str | None:
        """Like `sys_text`; None where the file is missing or the device does not answer."""
        try:
            return read_text(f"{self.sys}/{path}").strip()
        except OSError:
            return None

    def sys_names(self, path: str) -> list[str]:
        """The sorted entries of a folder below /sys; empty where there is none."""
        try:
            return sorted(entry.name for entry in os.scandir(f"{self.sys}/{path}"))
        except FileNotFoundError:
            return []

    def host_path(self, path: str) -> str:
        """Where this process finds a path of the host's root file system."""
        return path if self.rootfs == "/" else f"{self.rootfs}{path}"


def read_text(path: str) -> str:
    """A whole file as text. Read in small pieces: files of /proc/sys refuse a buffer that is larger than the kernel likes."""
    pieces: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while len(pieces) < PIECES_MAX:
            piece = os.read(descriptor, PIECE_BYTES)
            if not piece:
                break
            pieces.append(piece)
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode(errors="replace")
