"""The mounted file systems of the host, and their sizes without ever waiting long for a dead one.

Invariant: at most one statvfs per mount point is under way; while it hangs, the mount point is not asked again.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nunchi.agent.root import Root
from nunchi.agent.threads import DaemonThreads
from nunchi.kit.clock import Clock

THREADS_MAX = 16
TIMEOUT = "mountpoint timeout"
OPTIONAL_FIELDS_BEGIN = 6
ESCAPES = (("\\040", " "), ("\\011", "\t"))
ERROR_TEXTS = {errno.ESTALE: "stale NFS file handle"}


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    device: str
    mountpoint: str
    fstype: str
    major: str
    minor: str
    is_readonly: bool  # by its own options or, after an error on the device, by the file system's


def read_mounts(root: Root) -> list[Mount]:
    """The mounts that the first process of the host sees; with hidden processes, those that this one sees."""
    try:
        lines = root.proc_lines("1/mountinfo")
    except FileNotFoundError:
        lines = root.proc_lines("self/mountinfo")
    return [parse_mount(line, root.rootfs) for line in lines]


def parse_mount(line: str, rootfs: str) -> Mount:
    """One line: `id parent major:minor root mountpoint options [optional …] - fstype device super-options`."""
    fields = line.split()
    dash = fields.index("-", OPTIONAL_FIELDS_BEGIN)
    major, _, minor = fields[2].partition(":")
    mountpoint = fields[4]
    for escape, character in ESCAPES:
        mountpoint = mountpoint.replace(escape, character)
    if rootfs != "/" and (mountpoint == rootfs or mountpoint.startswith(f"{rootfs}/")):
        mountpoint = mountpoint.removeprefix(rootfs) or "/"
    options = ",".join([fields[5], *fields[dash + 3 :]]).split(",")
    return Mount(fields[dash + 2], mountpoint, fields[dash + 1], major, minor, is_readonly="ro" in options)


class MountReader:
    """Asks mount points for their sizes, each in a daemon thread."""

    def __init__(self, clock: Clock, statvfs: Callable[[str], os.statvfs_result] = os.statvfs) -> None:
        self._clock = clock
        self._statvfs = statvfs
        self._threads = DaemonThreads("statvfs", clock, THREADS_MAX)
        self._answered = threading.Condition()
        self._outstanding: set[str] = set()

    def read(self, paths: Iterable[str], timeout_seconds: float) -> Mapping[str, os.statvfs_result | str]:
        """By path: its sizes, or in words why there are none."""
        answers: dict[str, os.statvfs_result | str] = dict.fromkeys(paths, TIMEOUT)
        waited_for: set[str] = set()
        with self._answered:
            for path in answers:
                if path not in self._outstanding:
                    self._outstanding.add(path)
                    waited_for.add(path)
        found: dict[str, os.statvfs_result | str] = {}
        for path in waited_for:
            self._threads.submit(lambda path=path: self._ask(path, found))  # type: ignore[misc]  # a default, not a parameter
        deadline = self._clock.monotonic() + timeout_seconds
        with self._answered:
            while waited_for & self._outstanding and self._clock.monotonic() < deadline:
                self._answered.wait(self._threads.patience_seconds)
                self._threads.relieve()
            answers.update(found)
        return answers

    def _ask(self, path: str, found: dict[str, os.statvfs_result | str]) -> None:
        answer: os.statvfs_result | str
        try:
            answer = self._statvfs(path)
        except OSError as error:
            code = error.errno or 0
            answer = ERROR_TEXTS.get(code, os.strerror(code).lower())
        with self._answered:
            found[path] = answer
            self._outstanding.discard(path)
            self._answered.notify_all()
