"""A user's check in a process of its own: `python -m nunchi.agent.check_child FILE OPTIONS`.

One line of JSON asks; MessagePack after its length answers, which has words for NaN and infinities.
Invariant: what the check prints goes to its error output and never into an answer, each request has one answer, and the
process ends when its parent has.
"""

import importlib.util
import inspect
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from nunchi.agent.check import Check, Context
from nunchi.agent.emission import Emission
from nunchi.agent.root import Root
from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError, words_of
from nunchi.kit.logs import configure, logger

REQUEST_BYTES_MAX = 1 << 20
LENGTH = struct.Struct("<I")  # of the answer that follows


class ChildRequest(msgspec.Struct, frozen=True):
    """One run; `is_run` false only asks whether the check could be made."""

    deadline_seconds: float
    paths: tuple[str, str, str, str]
    is_run: bool = True


class ChildAnswer(msgspec.Struct, frozen=True):
    """What it found; `error` is empty where it went well."""

    samples: list[tuple[str, list[tuple[str, str]], float]] = []
    types: dict[str, str] = {}
    dropped: int = 0
    error: str = ""


def load_check(path: Path, options: dict[str, Any]) -> Check:
    """The one check that a file defines. InputError says what is wrong with the file or the options."""
    specification = importlib.util.spec_from_file_location(f"checks_d_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise InputError(f"{path}: is not a Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}: {words_of(error)}") from error
    found = [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, Check) and one.__module__ == module.__name__ and not inspect.isabstract(one)
    ]
    if len(found) != 1:
        raise InputError(f"{path}: defines {len(found)} checks: it is to be one class below nunchi.agent.check.Check")
    try:
        settings = msgspec.convert(options, found[0].settings_type)
    except msgspec.ValidationError as error:
        raise InputError(f"options of {path.stem}: {error}") from error
    return found[0](settings)


def run_check(check: Check, request: ChildRequest) -> ChildAnswer:
    """One run, its failure told in the answer."""
    if not request.is_run:
        return ChildAnswer()
    emission, error = Emission(), ""
    log = logger(f"agent.{check.name}")
    try:
        check.run(Context(emission, SystemClock(), Root(*request.paths), log, request.deadline_seconds))
    except (Exception, SystemExit) as caught:
        error = f"{words_of(caught)}{_place_of(caught, check)}"
    samples = [
        (_text(name), [(_text(label), _text(text)) for label, text in labels], value)
        for name, labels, value in emission.samples
    ]
    types = {_text(name): kind.value for name, kind in emission.types.items()}
    return ChildAnswer(samples, types, emission.dropped, _text(error))


def _text(value: object) -> str:
    """What a check calls a name or a label's value, a number among it, as text that UTF-8 can write."""
    return str(value).encode(errors="replace").decode()


def _place_of(error: BaseException, check: Check) -> str:
    """Where in the check's own file it was raised."""
    own = type(check).run.__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" (line {lines[-1]})" if lines else ""


def end_group() -> NoReturn:
    """End at once, out of a check that loops too, and with it whatever the check has started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def main() -> None:
    """Answer until the parent closes the pipe. What the check does to the standard streams is its own affair."""
    requests, answers, process = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"), os.getpid()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    configure("info", "logfmt")
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        while line := requests.readline(REQUEST_BYTES_MAX):
            lines.put(line)
        end_group()

    threading.Thread(target=listen, name="requests", daemon=True).start()
    check, error = None, ""
    try:
        check = load_check(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=dict[str, Any]))
    except InputError as caught:
        error = str(caught)
    while True:
        request = msgspec.json.decode(lines.get(), type=ChildRequest)
        answer = run_check(check, request) if check is not None else ChildAnswer(error=error)
        if os.getpid() != process:
            os._exit(0)  # a child that the check has made and not ended: the answer is its parent's
        content = msgspec.msgpack.encode(answer)
        answers.write(LENGTH.pack(len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    main()
