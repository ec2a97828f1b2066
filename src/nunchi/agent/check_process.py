"""Checks of the user's own, from `checks.d/*.py`: each instance in a process that is killed when it misses the deadline.

Invariant: nothing in a user's file is executed in the agent itself, not even to read its settings.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from nunchi.agent.check import Check, Context
from nunchi.agent.check_child import LENGTH, ChildAnswer, ChildRequest
from nunchi.agent.check_service import DEADLINE_SHARE
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError
from nunchi.kit.clock import Clock
from nunchi.kit.settings import SettingsError
from nunchi.model.metadata import MetricType

ANSWER_BYTES_MAX = 16 << 20
FILES_MAX = 200
FAULT_SECONDS_MAX = 10.0
TEST_PREFIX = "test_"


class UserCheckSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`options` are given to the check; its own `settings_type` says what they may be."""

    options: dict[str, Any] = msgspec.field(default_factory=dict)


class ProcessCheck(Check):
    """Runs the check of `path` in a process that is kept between runs."""

    path: ClassVar[Path]
    settings_type = UserCheckSettings

    def __init__(self, settings: UserCheckSettings) -> None:
        super().__init__(settings)
        self._options = msgspec.json.encode(settings.options).decode()
        self._child: subprocess.Popen[bytes] | None = None
        self._ended = weakref.finalize(self, end_child, None)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        deadline = Deadline(context.clock, context.deadline_seconds * DEADLINE_SHARE)
        root = context.root
        request = ChildRequest(deadline.seconds, (root.proc, root.sys, root.rootfs, root.udev))
        try:
            answer = self._ask(msgspec.json.encode(request) + b"\n", deadline)
        except BaseException:
            self.close()
            raise
        for name, kind in answer.types.items():
            context.emit.types[name] = MetricType(kind)
        nameless = 0
        for name, pairs, value in answer.samples:
            labels = dict(pairs)
            if not name or "" in labels:
                nameless += 1
            else:
                context.emit.sample(name, value, labels)
        context.emit.dropped += answer.dropped
        if answer.error:
            raise ServiceError(answer.error)
        if nameless:
            raise ServiceError(f"{nameless} samples without a name, or with a label without one, are left out")

    def fault(self, clock: Clock) -> str:
        """Why the file, or its options, make no check; empty where they make one."""
        request = ChildRequest(FAULT_SECONDS_MAX, ("/", "/", "/", "/"), is_run=False)
        try:
            return self._ask(msgspec.json.encode(request) + b"\n", Deadline(clock, FAULT_SECONDS_MAX)).error
        except ServiceError as error:
            return str(error)
        finally:
            self.close()

    def close(self) -> None:
        """End the process; the next run starts another."""
        self._child = None
        self._ended()

    def _ask(self, request: bytes, deadline: Deadline) -> ChildAnswer:
        child = self._started()
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: reading says so
            child.stdin.write(request)
            child.stdin.flush()
        length = LENGTH.unpack(self._read(child, LENGTH.size, deadline))[0]
        if length > ANSWER_BYTES_MAX:
            raise ServiceError(f"checks.d/{self.path.name}: emits more than {ANSWER_BYTES_MAX} bytes")
        return msgspec.msgpack.decode(self._read(child, length, deadline), type=ChildAnswer)

    def _read(self, child: "subprocess.Popen[bytes]", size: int, deadline: Deadline) -> bytes:
        """So many bytes of what the process answers."""
        assert child.stdout is not None
        content, descriptor = bytearray(), child.stdout.fileno()
        while len(content) < size:
            readable, _, _ = select.select(
                [descriptor], [], [], deadline.remaining_seconds(f"checks.d/{self.path.name}")
            )
            if not readable:
                continue
            part = os.read(descriptor, min(1 << 16, size - len(content)))
            content += part
            if not part:
                raise ServiceError(f"checks.d/{self.path.name}: its process ended with {child.wait()}")
        return bytes(content)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._child is None:
            command = [sys.executable, "-m", "nunchi.agent.check_child", str(self.path), self._options]
            self._child = subprocess.Popen(  # noqa: S603 - the operator's own file
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            self._ended = weakref.finalize(self, end_child, self._child)
        return self._child


def end_child(child: "subprocess.Popen[bytes] | None") -> None:
    """Kill a process and whatever it has started."""
    if child is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    child.wait()


class UserChecks:
    """The types of the checks of a folder. A file that has not changed keeps its type, so that its instances keep running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._types: dict[tuple[str, int, int], type[Check]] = {}

    def files(self) -> list[Path]:
        """The files that are checks; tests beside them are not."""
        paths = sorted(self._folder.glob("*.py")) if self._folder.is_dir() else []
        if len(paths) > FILES_MAX:
            raise SettingsError(str(self._folder), None, f"{len(paths)} files are more than {FILES_MAX}")
        return [path for path in paths if not path.name.startswith((TEST_PREFIX, "_", "."))]

    def load(self, taken: frozenset[str]) -> dict[str, type[Check]]:
        """Type by name, which is the file's. SettingsError for a name that is a built-in check's, or none."""
        found: dict[tuple[str, int, int], type[Check]] = {}
        for path in self.files():
            name = path.stem
            if name in taken:
                raise SettingsError(
                    str(path), None, f"there is a check {name} already: choose another name for the file"
                )
            if not name.isidentifier():
                raise SettingsError(str(path), None, "name the file with letters, digits and _ alone")
            status = path.stat()
            key = (str(path), status.st_mtime_ns, status.st_size)
            found[key] = self._types.get(key) or type(name, (ProcessCheck,), {"name": name, "job": name, "path": path})
        self._types = found
        return {check.name: check for check in found.values()}
