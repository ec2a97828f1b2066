"""Checks of the user's own, from `checks.d/*.py`: each instance in a process that is killed when a run misses the deadline.

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
START_SECONDS_MAX = 60.0
FAULT_SECONDS_MAX = 10.0
TEST_PREFIX = "test_"


class StartingError(ServiceError):
    """The process of a check has not read its file yet."""


class UserCheckSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`options` are given to the check; its own `settings_type` says what they may be."""

    options: dict[str, Any] = msgspec.field(default_factory=dict)


class CheckProcess:
    """The process of one instance. It is asked first whether it runs a check, which it answers once it has read its file.

    Starting is not running: on a busy host it may take longer than a run may, and a process that were killed for it would
    never run.
    """

    def __init__(self, path: Path, options: str, clock: Clock) -> None:
        self._file = f"checks.d/{path.name}"
        command = [sys.executable, "-m", "nunchi.agent.check_child", str(path), options]
        self.process = subprocess.Popen(  # noqa: S603 - the operator's own file
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._starting = Deadline(clock, START_SECONDS_MAX)
        self._fault: str | None = None
        self._send(ChildRequest(START_SECONDS_MAX, ("/", "/", "/", "/"), is_run=False))

    def fault(self, deadline: Deadline) -> str:
        """Why its file, or the options, make no check; empty where they make one. StartingError where that is not known yet,
        other ServiceErrors where it never will be.
        """
        if self._fault is None:
            self._await_start(deadline)
            self._fault = self._answer(self._starting).error
        return self._fault

    def ask(self, request: ChildRequest, deadline: Deadline) -> ChildAnswer:
        """What a run finds; ServiceError where it does not answer in time, or has ended."""
        self._send(request)
        return self._answer(deadline)

    def _send(self, request: ChildRequest) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: reading says so
            self.process.stdin.write(msgspec.json.encode(request) + b"\n")
            self.process.stdin.flush()

    def _await_start(self, deadline: Deadline) -> None:
        """Return when its first answer begins, or its end shows."""
        assert self.process.stdout is not None
        self._starting.remaining_seconds(f"{self._file}, which is being started")
        with contextlib.suppress(ServiceError):
            if select.select([self.process.stdout], [], [], deadline.remaining_seconds())[0]:
                return
        raise StartingError(f"{self._file}: its process is still being started")

    def _answer(self, deadline: Deadline) -> ChildAnswer:
        length = LENGTH.unpack(self._read(LENGTH.size, deadline))[0]
        if length > ANSWER_BYTES_MAX:
            raise ServiceError(f"{self._file}: emits more than {ANSWER_BYTES_MAX} bytes")
        return msgspec.msgpack.decode(self._read(length, deadline), type=ChildAnswer)

    def _read(self, size: int, deadline: Deadline) -> bytes:
        """So many bytes of what the process answers."""
        assert self.process.stdout is not None
        content, descriptor = bytearray(), self.process.stdout.fileno()
        while len(content) < size:
            readable, _, _ = select.select([descriptor], [], [], deadline.remaining_seconds(self._file))
            if not readable:
                continue
            part = os.read(descriptor, min(1 << 16, size - len(content)))
            content += part
            if not part:
                raise ServiceError(f"{self._file}: its process ended with {self.process.wait()}")
        return bytes(content)


class ProcessCheck(Check):
    """Runs the check of `path` in a process that is kept between runs."""

    path: ClassVar[Path]
    settings_type = UserCheckSettings

    def __init__(self, settings: UserCheckSettings) -> None:
        super().__init__(settings)
        self._options = msgspec.json.encode(settings.options).decode()
        self._child: CheckProcess | None = None
        self._ended = weakref.finalize(self, end_child, None)

    def run(self, context: Context) -> None:
        """See `Check.run`. The run that has waited for the start has its whole time from then on, late as it may be: what is
        killed for a late start starts late again.
        """
        seconds, root = context.deadline_seconds * DEADLINE_SHARE, context.root
        request = ChildRequest(seconds, (root.proc, root.sys, root.rootfs, root.udev))
        try:
            child = self._started(context.clock)
            child.fault(Deadline(context.clock, seconds))
            answer = child.ask(request, Deadline(context.clock, seconds))
        except StartingError:
            raise
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
        try:
            return self._started(clock).fault(Deadline(clock, FAULT_SECONDS_MAX))
        except ServiceError as error:
            return str(error)
        finally:
            self.close()

    def close(self) -> None:
        """End the process; the next run starts another."""
        self._child = None
        self._ended()

    def _started(self, clock: Clock) -> CheckProcess:
        if self._child is None:
            self._child = CheckProcess(self.path, self._options, clock)
            self._ended = weakref.finalize(self, end_child, self._child.process)
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
