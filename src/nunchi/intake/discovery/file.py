"""Targets that other programs write into files: `file_sd_configs`. JSON or YAML, a list of groups, read again when changed.

Invariant: a file that cannot be read or understood keeps the targets it gave last, and is reported once per change.
"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nunchi.intake.mechanism import Publish, TargetGroup
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.path_patterns import check_pattern, find_paths
from nunchi.kit.settings import Duration, FieldError, SettingsError
from nunchi.kit.settings.conversion import Conversion
from nunchi.kit.settings.loading import read_text
from nunchi.kit.settings.yaml_nodes import compose

ADDRESS = "__address__"
FILE_PATH = "__meta_filepath"
LOOK_SECONDS = 5.0
FILES_MAX = 10_000

_PATTERN = re.compile(r"[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml|JSON|YML|YAML)")


class FileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `file_sd_configs`."""

    files: tuple[str, ...] = ()
    refresh_interval: Duration = Duration(300_000)

    def __post_init__(self) -> None:
        if not self.files:
            raise FieldError("files is missing: name at least one", "files")
        for position, name in enumerate(self.files):
            if _PATTERN.fullmatch(name) is None:
                raise FieldError(
                    f'"{name}" is no file name to discover from: it ends in .json, .yml or .yaml,'
                    " and a * may stand in its last part only",
                    "files", position,
                )  # fmt: skip
            try:
                check_pattern(name)
            except ValueError as error:
                raise FieldError(str(error), "files", position) from None


class FileGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group of such a file."""

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}


def read_groups(path: Path) -> tuple[FileGroup, ...]:
    """The groups of a file; raises `SettingsError`."""
    text = read_text(path)
    if path.suffix.lower() == ".json":
        try:
            return msgspec.json.decode(text, type=tuple[FileGroup, ...])
        except msgspec.MsgspecError as error:
            raise SettingsError(str(path), None, f"{error}; write a list of groups with targets and labels") from None
    node = compose(text, str(path))
    if node is None:
        return ()
    groups: tuple[FileGroup, ...] = Conversion(str(path), {}).value(node, tuple[FileGroup, ...], "")
    return groups


Stamp = tuple[int, int]


class FileMechanism:
    """Looks at its files every few seconds; the refresh interval only forces a reading."""

    name = "file"

    def __init__(self, settings: FileSettings, folder: Path, clock: Clock, log: Logger) -> None:
        self._patterns = settings.files
        self._folder = folder
        self._refresh_seconds = max(settings.refresh_interval.seconds, LOOK_SECONDS)
        self._clock = clock
        self._log = log
        self._stamps: dict[Path, Stamp] = {}
        self._groups: dict[Path, tuple[FileGroup, ...]] = {}

    async def run(self, publish: Publish) -> None:
        """See `Mechanism.run`."""
        read_at: float | None = None
        while True:
            now = self._clock.monotonic()
            forced = read_at is None or now - read_at >= self._refresh_seconds
            if forced:
                read_at = now
            if await asyncio.to_thread(self._look, forced=forced):
                publish(self._published())
            await self._clock.sleep(LOOK_SECONDS)

    def _look(self, *, forced: bool) -> bool:
        """Read what changed; whether there is anything to publish."""
        found = {path: stamp for path in self._paths() if (stamp := _stamp(path)) is not None}
        changed = forced or found.keys() != self._stamps.keys()
        for path in self._groups.keys() - found.keys():
            del self._groups[path]
        for path, stamp in found.items():
            if not forced and self._stamps.get(path) == stamp:
                continue
            changed = True
            try:
                self._groups[path] = read_groups(path)
            except SettingsError as error:
                self._log.warning("discovery file not read; its last targets stay", error=str(error))
        self._stamps = found
        return changed

    def _paths(self) -> list[Path]:
        return [path for pattern in self._patterns for path in find_paths(pattern, self._folder)][:FILES_MAX]

    def _published(self) -> Sequence[TargetGroup]:
        return [
            TargetGroup(
                f"{path}:{position}",
                [{ADDRESS: address} for address in group.targets],
                {**group.labels, FILE_PATH: str(path)},
            )
            for path, groups in sorted(self._groups.items())
            for position, group in enumerate(groups)
        ]


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
